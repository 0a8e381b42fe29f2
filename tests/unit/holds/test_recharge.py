"""The steps of a pair are carried out over Airflow's Variables and VideoDB."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.recharge import RechargeLedger
from airflow_provider_videodb.holds.rules.recharge_pair import join, leave
from airflow_provider_videodb.holds.store import Listing

FOUND = AutoRecharge(enabled=False, threshold=Decimal(5), amount=Decimal(25))
WANTED = AutoRecharge(enabled=True, threshold=Decimal(20), amount=Decimal(100))


class Memory(dict[str, str]):
    """A store whose listing ignores capitals in a prefix, as that of some databases."""

    is_complete = True

    def list(self, prefix: str) -> Listing:
        return Listing(tuple(key for key in self if key.lower().startswith(prefix.lower())), self.is_complete)

    def read(self, key: str) -> str | None:
        return self.get(key)

    def write(self, key: str, text: str) -> None:
        self[key] = text

    def delete(self, key: str) -> None:
        self.pop(key, None)


class Account:
    def __init__(self) -> None:
        self.store, self.settings, self.calls = Memory(), FOUND, [""]
        self.notes: list[tuple[AutoRecharge, AutoRecharge]] = []

    def ledger(self, dag_id: str, account: str = "team") -> RechargeLedger:
        who = Identity(dag_id=dag_id, run_id="run", task_id="on", map_index=-1, try_number=1, settlement_ms=0)
        return RechargeLedger(
            account,
            me=who,
            try_id="1",
            read=self.read,
            write=self.write,
            keep_note=lambda before, after: self.notes.append((before, after)),
            store=self.store,
        )

    def read(self) -> AutoRecharge:
        self.calls.append("read")
        return self.settings

    def write(self, settings: AutoRecharge, _: bool) -> AutoRecharge:
        self.calls.append("write")
        self.settings = settings
        return settings


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr("airflow_provider_videodb.holds.recharge.has_run_ended", lambda who: who.dag_id == "dead")
    return Account()


def on(ledger: RechargeLedger) -> Any:
    return ledger.run(join(ledger.me, WANTED))


def back(ledger: RechargeLedger) -> Any:
    return ledger.run(leave([ledger.me.holder], ledger.me))


def test_flags_say_who_raised_them(account: Account) -> None:
    on(account.ledger("dag"))

    values = [json.loads(text) for text in account.store.values()]
    assert [value["kind"] for value in values] == ["wants", "found", "applies"]
    assert {(value["dag_id"], value["run_id"], value["task_id"]) for value in values} == {("dag", "run", "on")}
    assert account.notes == [(FOUND, WANTED)]


def test_settings_read_back_after_a_write_are_not_read_again(account: Account) -> None:
    on(account.ledger("dag"))

    assert account.calls[1:] == ["read", "read", "write"]
    assert account.read() == WANTED


def test_account_whose_name_differs_in_capitals_is_another_one(account: Account) -> None:
    on(account.ledger("dag", "Team"))
    on(account.ledger("dag", "team"))

    assert back(account.ledger("dag", "team")).others == 0
    assert {key.split("/")[2] for key in account.store} == {"Team"}


def test_pipeline_whose_run_has_ended_is_taken_down(account: Account) -> None:
    on(account.ledger("dead"))
    on(account.ledger("dag"))
    back(account.ledger("dag"))

    assert account.settings == FOUND
    assert account.store == {}


@pytest.mark.parametrize("text", ["", "{}", "nonsense"])
def test_flag_that_does_not_say_who_raised_it_stays(account: Account, text: str) -> None:
    on(account.ledger("dead"))
    account.store |= dict.fromkeys(account.store, text)
    on(account.ledger("dag"))

    assert back(account.ledger("dag")).others == 1
    assert account.settings == WANTED


def test_teardown_of_a_setup_that_raised_no_flag_has_nothing_to_do(account: Account) -> None:
    on(account.ledger("other"))

    assert back(account.ledger("dag")) is None


def test_more_flags_than_a_listing_shows_stop_the_setup(account: Account) -> None:
    account.store.is_complete = False

    with pytest.raises(VideoDBRecordUnreadableError, match=r"Next step: delete those of ended pipelines"):
        on(account.ledger("dag"))
    assert account.settings == FOUND
    assert account.store == {}


def test_failed_read_takes_the_flag_of_a_setup_down(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> AutoRecharge:
        raise VideoDBRecordUnreadableError("gone")

    monkeypatch.setattr(account, "read", fails)
    with pytest.raises(VideoDBRecordUnreadableError, match="gone"):
        on(account.ledger("dag"))
    assert account.store == {}
