"""Two commands that buy the same credits at the same time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from airflow_provider_videodb.cli.announcements import Announcer
from airflow_provider_videodb.overview.database import DatabaseStore

PREFIX = "videodb/topups/account/50/"


@pytest.fixture
def store(airflow_db):
    return DatabaseStore()


def announcer(store, *, by="ada", amount=50, account="account", lasts=60):
    return Announcer(store, account=account, amount=amount, by=by, lasts=timedelta(seconds=lasts))


def test_second_sees_the_first(store):
    assert announcer(store, by="ada").announce() is None
    seen = announcer(DatabaseStore(), by="bob").announce()
    assert seen is not None
    assert seen.by == "ada"


@pytest.mark.parametrize("other", [{"amount": 51}, {"account": "another"}])
def test_another_amount_or_account_does_not_matter(store, other):
    announcer(store, **other).announce()
    assert announcer(store).announce() is None


def test_second_try_of_the_same_command_is_not_another(store):
    one = announcer(store)
    assert (one.announce(), one.announce()) == (None, None)


def test_withdrawn_announcement_does_not_count(store):
    one = announcer(store)
    one.announce()
    one.withdraw()
    assert announcer(store).announce() is None


@pytest.mark.parametrize("moment", ["1700000000000", "9999999999999", "edited", ""])
def test_old_or_edited_announcement_is_removed(store, moment):
    store.write(f"{PREFIX}{moment}/another", "{}")
    assert announcer(store).announce() is None
    assert len(DatabaseStore().list(PREFIX).keys) == 1


@pytest.mark.parametrize("text", ["broken", "[]", "{}"])
def test_edited_author_is_unknown(store, text):
    announcer(store).announce()
    (key,) = store.list(PREFIX).keys
    store.write(key, text)
    seen = announcer(DatabaseStore()).announce()
    assert seen is not None
    assert seen.by == ""


def test_of_many_at_once_at_most_one_sees_nobody(store):
    alone = []
    start = threading.Barrier(8)

    def run():
        start.wait()
        if announcer(DatabaseStore()).announce() is None:
            alone.append(True)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(alone) <= 1
