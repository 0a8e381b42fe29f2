"""A gate that holds credits and begins its wait in the triggerer, over Airflow's own API and database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import flags_in_database, remove_flags
from tests.support.scheduler import as_the_scheduler_starts, comms_of, set_waiting
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from tests.support.dag_runs import Run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("airflow_db"), needs_listed_variables]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def gate(threshold: int) -> DAG:
    with new_dag("begins_in_triggerer") as dag:
        CreditThresholdSensor(
            task_id="gate",
            threshold=threshold,
            hold=True,
            priority=2,
            poke_interval=0.2,
            timeout=60,
            start_from_trigger=True,
        )
    return dag


@pytest.fixture
def waiting(airflow_db: None, emulator: Any) -> tuple[DAG, Run]:
    """Return a DAG whose gate begins to wait for 10 credits, and its run."""
    del airflow_db, emulator
    finished = run(gate(3))
    remove_flags(Kind.HELD)
    set_waiting(finished, "gate")
    return gate(10), finished


async def test_gate_waits_in_the_queue_and_is_woken(emulator, waiting, capsys):
    dag, its_run = waiting
    with comms_of(its_run, dag):
        async with triggerer() as airflow:
            await airflow.start_stored(**as_the_scheduler_starts(dag, its_run))
            await polled(emulator, 2)
            await airflow.until(lambda: its_run.result("gate", "waiting"))
            await airflow.waits_on()
            (flag,) = flags_in_database()
            reason = its_run.result("gate", "waiting")

            emulator.set_balance(10)
            told = await airflow.payload()

    assert (flag.kind, flag.credits, flag.priority, flag.account) == (Kind.WAITING, 10, 2, "videodb_default")
    assert reason == "Waiting: 10 credits needed, 3 available (3 on the account)."
    assert capsys.readouterr().out.count(reason) >= 1
    assert told["status"] == "may_open"
    # The worker that goes on finds the place in the queue.
    assert [one.kind for one in flags_in_database()] == [Kind.WAITING]
