"""When a trigger wakes a gate among others that hold credits, and what it says while it waits."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_videodb.exceptions import (
    VideoDBRecordUnreadableError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import Flag, Kind, try_of
from airflow_provider_videodb.triggers import _gates as gates
from airflow_provider_videodb.triggers._gates import AccountHolds, AccountView, WaitingGate
from airflow_provider_videodb.triggers._poll import PollResult
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger, fetch_account_view, fetch_usage
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.compat import needs_listed_variables
from tests.unit.triggers.poll_results import BLIP, SETTINGS, balance, outcome, payload, threshold_trigger

pytestmark = pytest.mark.anyio

#: The clock of all listings.
NOW = 1_800_000_000_000
ME = Identity.of(a_task(), settlement_ms=0)
PLAIN = WaitingGate(holds=False, holder=ME.holder, try_id=try_of(a_task().id))
HOLDING = replace(PLAIN, holds=True, decides_in_worker=True)
AUDITING = replace(PLAIN, decides_in_worker=True)


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> AirflowChannel:
    channel = AirflowChannel()
    channel.install(monkeypatch)
    # Reports come at once.
    monkeypatch.setattr(gates, "_SHORTEST_PAUSE", 0)
    monkeypatch.setattr(gates, "_REPORTS_PER_SECOND", 1e9)
    return channel


def flag(kind: Kind, credits: str, holder: str = "other.-1", **fields: Any) -> Flag:
    usual: dict[str, Any] = {"account": "shared", "try_id": "0123456789ab", "ms": NOW - 1000}
    return Flag(kind=kind, credits=Decimal(credits), holder=holder, **usual | fields)


MY_PLACE = flag(Kind.WAITING, "50", ME.holder, try_id=HOLDING.try_id)


def seen(credits: str, *flags: Flag, first: Identity | None = None, is_complete: bool = True, **settings: Any) -> Any:
    """Return what one poll read: the balance and the flags."""
    view = View(flags=flags, listed_at=NOW, is_complete=is_complete)
    usage = balance(credits).value.usage
    return PollResult(value=AccountView(usage=usage, settings=replace(SETTINGS, **settings), view=view, first=first))


def trigger(gate: WaitingGate, **arguments: Any) -> CreditThresholdTrigger:
    return threshold_trigger(**{"threshold": "50", "gate": gate.to_dict(), "timeout": 60} | arguments)


async def status(gate: WaitingGate, *results: Any, **arguments: Any) -> str | None:
    event = await outcome(trigger(gate, **arguments), *results)
    return None if event is None else str(event.payload["status"])


@needs_listed_variables
async def test_view_is_listed_before_the_balance_is_read(airflow):
    def get_usage() -> Any:
        airflow.asked.append("the balance")
        return balance("3").value.usage

    airflow.put(Kind.HELD, "10", account="shared")
    account: Any = SimpleNamespace(
        holds=AccountHolds(SETTINGS), client=SimpleNamespace(get_usage=get_usage), settings=SETTINGS
    )

    read = fetch_account_view(account)

    assert [str(getattr(question, "type", question)) for question in airflow.asked[:2]] == [
        "GetVariableKeys",
        "the balance",
    ]
    assert [one.credits for one in read.view.flags] == [10]
    assert read.usage.credit_balance == 3


@needs_listed_variables
@pytest.mark.parametrize("fetch", [fetch_usage, fetch_account_view])
async def test_usage_that_is_too_large_for_an_event_is_refused(airflow, fetch):
    usage = replace(balance("3").value.usage, breakdown={f"kind {n:060}": Decimal(1) for n in range(1000)})
    account: Any = SimpleNamespace(
        holds=AccountHolds(SETTINGS), client=SimpleNamespace(get_usage=lambda: usage), settings=SETTINGS
    )

    with pytest.raises(VideoDBResponseError, match="The balance was not compared"):
        fetch(account)


@needs_listed_variables
async def test_listing_that_fails_reads_no_balance(airflow):
    airflow.refused = {"GetVariableKeys"}
    account: Any = SimpleNamespace(holds=AccountHolds(SETTINGS), client=None, settings=SETTINGS)

    with pytest.raises(VideoDBRecordUnreadableError):
        fetch_account_view(account)


def test_gates_share_a_poll_by_what_they_have_to_see():
    assert trigger(PLAIN).fetch is trigger(HOLDING).fetch is fetch_account_view
    assert threshold_trigger().fetch is fetch_usage


@pytest.mark.parametrize(
    ("gate", "told"), [(HOLDING, "may_open"), (AUDITING, "may_open"), (PLAIN, "enough")], ids=["hold", "audit", "plain"]
)
@pytest.mark.parametrize(
    ("result", "opens"),
    [
        (seen("50", MY_PLACE), True),
        (seen("49", MY_PLACE), False),
        (seen("60", MY_PLACE, flag(Kind.HELD, "11")), False),
        (seen("61", MY_PLACE, flag(Kind.HELD, "11")), True),
        (seen("60", MY_PLACE, flag(Kind.RELEASED, "11", ms=NOW + 1)), False),
        (seen("60", MY_PLACE, flag(Kind.RELEASED, "11", ms=NOW)), True),
        (seen("60", MY_PLACE, credit_reserve=Decimal(11)), False),
        (seen("61", MY_PLACE, credit_reserve=Decimal(11)), True),
        (seen("90", MY_PLACE, flag(Kind.PAUSED, "0", "-", ms=0)), False),
        (seen("90", MY_PLACE, flag(Kind.PAUSED, "0", "-", ms=NOW + 1)), False),
        (seen("90", MY_PLACE, flag(Kind.PAUSED, "0", "-", ms=NOW)), True),
        (seen("90", MY_PLACE, is_complete=False), False),
    ],
    ids=[
        "enough",
        "too little",
        "held by another",
        "enough beside a hold",
        "settling",
        "settled",
        "reserved",
        "enough beside a reserve",
        "paused",
        "paused until later",
        "pause that is over",
        "more than one listing",
    ],
)
async def test_gate_is_woken_when_it_may_open(gate, told, result, opens):
    assert await status(gate, result) == (told if opens else None)


@pytest.mark.parametrize(("gate", "told"), [(HOLDING, None), (AUDITING, "may_open"), (PLAIN, "enough")])
async def test_only_a_gate_that_holds_waits_for_those_ahead(gate, told):
    ahead = flag(Kind.WAITING, "11", ms=NOW - 2000)

    assert await status(gate, seen("60", MY_PLACE, ahead)) == told


async def test_gate_with_a_higher_priority_goes_first():
    ahead = flag(Kind.WAITING, "11", ms=NOW - 2000)
    place = replace(MY_PLACE, priority=1)

    assert await status(replace(HOLDING, priority=1), seen("60", place, ahead)) == "may_open"
    assert await status(HOLDING, seen("60", MY_PLACE, replace(ahead, ms=NOW, priority=1))) is None


async def test_event_says_what_was_available_and_until_when():
    deadline = time.time() + 60
    told = await payload(trigger(HOLDING, timeout=None, deadline=deadline), seen("70", MY_PLACE, flag(Kind.HELD, "11")))

    assert (told["available"], told["usage"]["credit_balance"]) == (59, 70)
    assert told["deadline"] == pytest.approx(deadline, abs=1)


async def test_timeout_says_why_the_gate_was_closed():
    told = await payload(trigger(PLAIN, timeout=0), seen("60", flag(Kind.HELD, "11")))

    assert (told["status"], told["available"]) == ("timeout", 49)
    assert told["reason"] == ("Waiting: 50 credits needed, 49 available (60 on the account, 11 held by 1 pipeline).")


async def test_timeout_of_a_gate_that_nobody_keeps_closed_has_no_reason():
    told = await payload(trigger(PLAIN, timeout=0), seen("40"))

    assert (told["status"], told["reason"], told["available"]) == ("timeout", None, 40)


async def test_failed_poll_wakes_nobody_until_the_failures_are_too_many():
    unlisted = PollResult(error=VideoDBRecordUnreadableError("Airflow could not list its Variables"))

    assert await outcome(trigger(HOLDING, max_consecutive_failures=2), unlisted) is None
    told = await payload(trigger(HOLDING, max_consecutive_failures=2), unlisted, unlisted)
    assert (told["status"], told["error"]) == ("error", "VideoDBRecordUnreadableError")


async def test_other_account_has_other_holds():
    first = replace(seen("60", flag(Kind.HELD, "11")), account=1)
    second = replace(BLIP, account=2)

    told = await payload(trigger(PLAIN, timeout=0, max_consecutive_failures=9), first)
    assert told["usage"] is not None
    one = trigger(PLAIN, timeout=60, max_consecutive_failures=2)
    assert await outcome(one, first, second) is None
    assert one.event_payload() == {"usage": None}


@pytest.mark.parametrize(("gate", "told"), [(HOLDING, "may_open"), (AUDITING, None), (PLAIN, None)])
async def test_worker_judges_the_hold_of_an_earlier_try_now_and_then(monkeypatch, gate, told):
    earlier = seen("60", MY_PLACE, flag(Kind.HELD, "50", ME.holder, try_id="an_earlier_1"))
    assert await status(gate, earlier) is None

    monkeypatch.setattr("airflow_provider_videodb.triggers.credits.RECHECK_EVERY", 0)

    assert await status(gate, earlier) == told


async def test_gate_that_cannot_be_read_ends_the_wait():
    told = await payload(threshold_trigger(gate={"holds": True, "priority": "high"}))

    assert (told["status"], told["error"]) == ("error", "VideoDBConfigError")


async def test_success_without_a_worker_takes_back_the_reason():
    event = await outcome(trigger(PLAIN, end_from_trigger=True), seen("70", flag(Kind.HELD, "11")))

    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms["waiting"] is None
    assert event.xcoms["return_value"]["available"] == 59


async def test_error_of_videodb_is_raised_in_the_task():
    told = await payload(trigger(HOLDING, max_consecutive_failures=1), PollResult(error=VideoDBServerError("down")))

    assert (told["status"], told["message"]) == ("error", "down")
