"""Gates that wait for credits which others hold, in Airflow's own triggerer: their cost, queue and log."""

from __future__ import annotations

import time
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.triggers import _gates as gates
from airflow_provider_videodb.triggers._gates import IN_TRIGGERER
from tests.support.airflow_channel import AirflowChannel
from tests.support.compat import TaskInstanceDTO, needs_listed_variables
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.emulator.server import Emulator

pytestmark = [pytest.mark.anyio, needs_listed_variables]

USAGE = "/billing/usage"
INTERVAL = 0.2


@pytest.fixture
def airflow_channel(monkeypatch: pytest.MonkeyPatch) -> AirflowChannel:
    channel = AirflowChannel()
    channel.install(monkeypatch)
    return channel


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    """Collect what triggers log, each line with the id of the trigger whose log it goes into."""
    lines: list[dict[str, Any]] = []

    def keep(_: Any, __: str, event: dict[str, Any]) -> Any:
        lines.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep], cache_logger_on_first_use=False)
    yield lines
    structlog.configure(**before)


def task_instance(number: int) -> TaskInstanceDTO:
    return TaskInstanceDTO(
        id=UUID(int=number),
        dag_version_id=UUID(int=0),
        dag_id="dag",
        run_id="run",
        task_id=f"gate_{number}",
        map_index=-1,
        try_number=1,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )


def started(threshold: float = 10, **arguments: Any) -> dict[str, Any]:
    """Return what a scheduler stores of a gate that begins its wait in the triggerer."""
    usual: dict[str, Any] = {"poke_interval": INTERVAL, "timeout": 60, "start_from_trigger": True}
    gate = CreditThresholdSensor(task_id="gate", threshold=threshold, **usual | arguments)
    start: Any = gate.start_trigger_args
    return {"classpath": start.trigger_cls, "kwargs": start.trigger_kwargs}


def listings_and_balances(channel: AirflowChannel, emulator: Emulator) -> tuple[int, int]:
    return channel.listings(), len(emulator.calls(path=USAGE))


@pytest.mark.parametrize("hold", [True, False, "audit"])
async def test_waiters_cost_one_listing_and_one_balance_per_tick(emulator, airflow_channel, hold):
    airflow_channel.put(Kind.HELD, "1000")
    async with triggerer() as airflow:
        for number in range(1, 201):
            await airflow.start_stored(**started(10 + number % 3, hold=hold), ti=task_instance(number))
        await polled(emulator, 2)
        assert airflow.polls == 1
        places = airflow_channel.kinds.count(Kind.WAITING)
        before, began = listings_and_balances(airflow_channel, emulator), time.monotonic()
        await polled(emulator, 10)
        after, took = listings_and_balances(airflow_channel, emulator), time.monotonic() - began
        await airflow.waits_on()

    assert places == (200 if hold is True else 0)
    listed, read = after[0] - before[0], after[1] - before[1]
    # A tick may be between its listing and its balance.
    assert abs(listed - read) <= 1
    assert read <= took / INTERVAL + 2


async def test_gates_are_woken_in_turn_and_no_more_than_fit(emulator, airflow_channel):
    emulator.set_balance(25)
    held = airflow_channel.put(Kind.HELD, "25")
    async with triggerer() as airflow:
        ids = []
        for number in range(1, 5):
            ids.append(await airflow.start_stored(**started(10, hold=True), ti=task_instance(number)))
            await airflow.until(lambda waiting=number: airflow_channel.kinds.count(Kind.WAITING) == waiting)
        await polled(emulator, 2)
        await airflow.waits_on()

        del airflow_channel.kept[held.key]
        events = await airflow.events(2)
        await polled(emulator, 2)

        assert set(await airflow.events(2)) == set(ids[:2])
        assert {event.payload["status"] for event in events.values()} == {"may_open"}


async def test_gate_that_begins_in_the_triggerer_holds_in_the_worker(emulator, airflow_channel):
    emulator.set_balance(10)
    async with triggerer() as airflow:
        await airflow.start_stored(**started(10, hold=True), ti=task_instance(7))
        told = await airflow.payload()
    assert airflow_channel.kinds == [Kind.WAITING]

    ti: Any = SimpleNamespace(**task_instance(7).model_dump(), xcom_push=lambda key, value: None)
    resumed = CreditThresholdSensor(task_id="gate", threshold=10, hold=True).execute_complete({"ti": ti}, told)

    assert resumed["held"] == 10
    assert airflow_channel.kinds == [Kind.HELD]


async def test_gate_that_begins_in_the_triggerer_takes_its_place(emulator, airflow_channel):
    async with triggerer() as airflow:
        await airflow.start_stored(**started(10, hold=True, priority=3), ti=task_instance(7))
        await polled(emulator, 2)
        await airflow.waits_on()

        (flag,) = airflow_channel.flags
        who = Identity.from_text(airflow_channel.kept[flag.key])
        assert (flag.kind, flag.credits, flag.priority) == (Kind.WAITING, Decimal(10), 3)
        assert flag.try_id.endswith(IN_TRIGGERER)
        assert (who.task_id, who.holder) == ("gate_7", flag.holder)

        emulator.set_balance(10)
        assert (await airflow.payload())["status"] == "may_open"


async def test_reason_goes_into_the_log_of_the_task_that_waits(emulator, airflow_channel, monkeypatch, logged):
    monkeypatch.setattr(gates, "_SHORTEST_PAUSE", 0)
    airflow_channel.put(Kind.HELD, "1")
    async with triggerer() as airflow:
        ids = {
            number: await airflow.start_stored(**started(10 + number, hold=True), ti=task_instance(number))
            for number in (1, 2, 3)
        }
        await airflow.until(lambda: len({task for task, key, _ in list(airflow_channel.xcoms)}) == 3)

    said = [line for line in logged if line["event"].startswith("Waiting")]
    assert {line["event"].partition(" credits")[0]: line["trigger_id"] for line in said} == {
        f"Waiting: {10 + number}": trigger_id for number, trigger_id in ids.items()
    }
    for task, key, value in airflow_channel.xcoms:
        assert key == "waiting"
        assert value.startswith(f"Waiting: {10 + int(task.removeprefix('gate_'))} credits needed")
