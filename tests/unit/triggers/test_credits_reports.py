"""What a waiting gate reports, and how it takes its place in the queue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.records import Flag, Kind, try_of
from airflow_provider_videodb.triggers import _gates as gates
from airflow_provider_videodb.triggers._gates import AccountView, WaitingGate
from airflow_provider_videodb.triggers._poll import PollResult
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.compat import needs_listed_variables
from tests.unit.triggers.poll_results import BLIP, SETTINGS, balance, first_event, outcome, payload, threshold_trigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
pytestmark = pytest.mark.anyio
#: The clock of all listings.
NOW = 1_800_000_000_000
ME = Identity.of(a_task(), settlement_ms=0)
PLAIN = WaitingGate(holds=False, holder=ME.holder, try_id=try_of(a_task().id))
HOLDING = replace(PLAIN, holds=True, decides_in_worker=True)


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
async def test_trigger_takes_a_place_that_no_worker_took(airflow, emulator):
    one = trigger(replace(HOLDING, holder="", try_id="", needs_place=True))
    one.task_instance = a_task()

    assert await outcome(one, BLIP) is None

    assert [(flag.kind, flag.credits, flag.holder) for flag in airflow.flags] == [(Kind.WAITING, 50, ME.holder)]
    # A triggerer that is started again takes the place again.
    assert one.serialize()[1]["gate"]["needs_place"]


@needs_listed_variables
@pytest.mark.parametrize("refused", ["GetVariableKeys", "PutVariable"])
async def test_place_that_airflow_does_not_confirm_is_an_error(airflow, emulator, refused):
    one = trigger(replace(HOLDING, needs_place=True), max_consecutive_failures=2, poll_interval=0)
    one.task_instance = a_task()
    airflow.refused = {refused}

    told = await payload(one, seen("60"))

    assert (told["status"], airflow.count(refused)) == ("error", 2)


@needs_listed_variables
async def test_place_is_taken_once_airflow_is_back(airflow, emulator):
    one = trigger(replace(HOLDING, needs_place=True), poll_interval=0)
    one.task_instance = a_task()
    airflow.refused = {"PutVariable"}
    airflow.on_refusal = lambda question: airflow.refused.clear() if airflow.count("PutVariable") == 2 else None

    assert (await payload(one, seen("60")))["status"] == "may_open"
    assert airflow.kinds == [Kind.WAITING]


@needs_listed_variables
async def test_deadline_ends_the_wait_for_a_place(airflow, emulator):
    one = trigger(replace(HOLDING, needs_place=True), poll_interval=0, timeout=0)
    one.task_instance = a_task()
    airflow.refused = {"PutVariable"}

    assert (await payload(one, seen("60")))["error"] == "VideoDBRecordNotKeptError"
    assert airflow.count("PutVariable") == 1


async def test_connection_without_a_password_ends_the_wait_for_a_place(airflow, emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", '{"conn_type": "videodb"}')
    one = trigger(replace(HOLDING, needs_place=True))
    one.task_instance = a_task()

    assert (await payload(one, seen("60")))["error"] == "VideoDBConfigError"


async def test_dag_test_waits_for_the_worker_to_take_the_place(airflow):
    # It runs a trigger without its task.
    one = trigger(replace(HOLDING, needs_place=True))

    assert (await payload(one, seen("60")))["status"] == "may_open"


class TestReports:
    """What a waiting gate says in its log and in XCom."""

    @staticmethod
    async def told(airflow: AirflowChannel, gate: WaitingGate, *results: Any) -> list[Any]:
        """Return what the gate wrote as XCom; each result is shown after the report of the one before."""
        one = trigger(gate)
        one.task_instance = a_task()
        all_shown = asyncio.Event()

        async def poll(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
            for result in results:
                yield result
                while one._reporting:
                    await asyncio.gather(*one._reporting)
                    # From Python 3.14 on, a task can leave the set one step after it has ended.
                    await asyncio.sleep(0)
            all_shown.set()
            await asyncio.Event().wait()

        assert await first_event(one, poll, until=all_shown) is None
        return [value for task, key, value in airflow.xcoms if (task, key) == ("gate", "waiting")]

    async def test_reason_is_told_once_per_change(self, airflow, capsys):
        second = Identity(dag_id="b", run_id="c", task_id="d", map_index=-1, try_number=1, settlement_ms=0)
        ahead = flag(Kind.WAITING, "60", "ahead.-1", ms=NOW - 2000, priority=1)
        told = await self.told(
            airflow,
            HOLDING,
            seen("40", MY_PLACE),
            seen("40", MY_PLACE),
            seen("100", MY_PLACE, ahead, first=second),
        )

        assert told == [
            "Waiting: 50 credits needed, 40 available (40 on the account).",
            (
                "Waiting: 50 credits needed, 40 available (100 on the account, 60 promised to 1 ahead). Place 2 of 2. "
                "Next in line: DAG b, run c, task d."
            ),
        ]
        assert capsys.readouterr().out.count("40 available (40 on the account)") == 1

    async def test_gate_without_a_hold_speaks_only_of_holds(self, airflow):
        held, again = seen("60", flag(Kind.HELD, "11")), seen("40")

        assert (
            await self.told(airflow, PLAIN, again, held, again, held)
            == [
                "Waiting: 50 credits needed, 49 available (60 on the account, 11 held by 1 pipeline).",
            ]
            * 2
        )

    async def test_xcom_that_airflow_refuses_ends_no_wait(self, airflow, capsys):
        airflow.refused = {"SetXCom"}

        assert await self.told(airflow, HOLDING, seen("40", MY_PLACE), seen("41", MY_PLACE)) == []
        assert "41 available" in capsys.readouterr().out

    async def test_reports_are_not_too_frequent(self, airflow, monkeypatch):
        monkeypatch.setattr(gates, "_SHORTEST_PAUSE", 60)

        told = await self.told(airflow, HOLDING, seen("40", MY_PLACE), seen("41", MY_PLACE))

        assert len(told) == 1
