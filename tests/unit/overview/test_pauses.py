"""A pause of an account, in a real database."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.overview.database import DatabaseStore
from airflow_provider_videodb.overview.pauses import Pause, active_pause, pause_account, remove_pauses
from tests.support.hold_flags import flags_in_database, raise_flag

ACCOUNT = "videodb_default"
NOW = 1_000_000


@pytest.fixture
def store(airflow_db):
    return DatabaseStore()


def view(store):
    return Ledger(None, store=store, now=lambda: NOW / 1000).view()


@pytest.mark.parametrize("until_ms", [0, NOW + 1])
def test_pause_says_until_when_by_whom_and_why(store, until_ms):
    pause = Pause(until_ms=until_ms, by="ada", reason="the invoice")
    pause_account(store, view(store), ACCOUNT, pause)
    assert active_pause(store, view(store)) == pause
    assert view(store).paused_until == until_ms


@pytest.mark.parametrize(("first", "second"), [(0, NOW + 5), (NOW + 9, NOW + 5), (NOW + 5, 0), (0, 0)])
def test_second_pause_replaces_the_first(store, first, second):
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=first, by="ada", reason="one"))
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=second, by="bob", reason="two"))
    assert active_pause(store, view(store)) == Pause(until_ms=second, by="bob", reason="two")
    assert len(flags_in_database()) == 1


def test_new_pause_is_up_before_the_earlier_one_is_removed(store, monkeypatch):
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=NOW + 5))
    paused = []
    delete = DatabaseStore.delete

    def look_and_delete(self, key):
        paused.append(view(store).paused_until)
        delete(self, key)

    monkeypatch.setattr(DatabaseStore, "delete", look_and_delete)
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=NOW + 9))
    assert paused == [NOW + 9]
    assert view(store).paused_until == NOW + 9


def test_pause_of_another_account_and_holds_stay(store):
    held = raise_flag(Kind.HELD, "12")
    pause_account(store, view(store), "other", Pause(until_ms=0))
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=0))
    remove_pauses(store, view(store).flags, ACCOUNT)
    assert {(flag.account, flag.kind) for flag in flags_in_database()} == {
        (held.account, Kind.HELD),
        ("other", Kind.PAUSED),
    }


def test_pause_that_is_over_is_none(store):
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=NOW))
    assert active_pause(store, view(store)) is None


def test_overwritten_value_leaves_the_pause_without_a_reason(store):
    pause_account(store, view(store), ACCOUNT, Pause(until_ms=0, by="ada", reason="the invoice"))
    store.write(flags_in_database()[0].key, "[]")
    assert active_pause(store, view(store)) == Pause(until_ms=0)
