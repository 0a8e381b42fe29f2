"""The way from the serialized DAG to a trigger with rendered templates, as Airflow goes it."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task, task_group
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.sdk.definitions.param import DagParam
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.compat import needs_start_in_triggerer
from tests.support.dag_runs import new_dag, run
from tests.support.scheduler import as_the_scheduler_starts, comms_of, of_the_run, stored_form
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


#: A gate that leaves alone what others hold. No worker has put it into the queue.
WITHOUT_PLACE = {
    "holds": False,
    "priority": 0,
    "needs_place": False,
    "decides_in_worker": False,
    "respects_holds": True,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@needs_start_in_triggerer
def test_serialized_dag_keeps_the_arguments_of_the_trigger():
    with new_dag("starts") as dag:
        CreditThresholdSensor(
            task_id="gate",
            threshold=100.1,
            videodb_conn_id="account",
            poke_interval=5,
            timeout=60,
            soft_fail=True,
            start_from_trigger=True,
            end_from_trigger=True,
        )

    stored = stored_form(dag).get_task("gate")

    assert stored.start_from_trigger is True
    assert stored.start_trigger_args.trigger_cls.endswith(".CreditThresholdTrigger")
    assert stored.start_trigger_args.next_method == "execute_complete"
    assert stored.start_trigger_args.timeout.total_seconds() > 65
    assert BaseSerialization.deserialize(stored.start_trigger_args.trigger_kwargs) == {
        "format": 1,
        "threshold": "100.1",
        "videodb_conn_id": "account",
        "poll_interval": 5.0,
        "max_consecutive_failures": 5,
        "end_from_trigger": True,
        "soft_fail": True,
        "timeout": 60.0,
        "gate": WITHOUT_PLACE,
    }


@needs_start_in_triggerer
@pytest.mark.parametrize("threshold", [100.1, "{{ params.needed }}", "{{ ti.xcom_pull('estimate') }}", "XComArg"])
async def test_threshold_arrives_however_it_is_given(airflow_db, emulator, threshold):
    emulator.set_balance("100.1")
    with new_dag("rendered", params={"needed": 100.1}) as dag:

        @task
        def estimate() -> float:
            return 100.1

        needed = estimate()
        gate = CreditThresholdSensor(
            task_id="gate",
            threshold=needed if threshold == "XComArg" else threshold,
            videodb_conn_id="{{ 'videodb_default' }}",
            poke_interval=0.2,
            timeout=30,
            start_from_trigger=True,
        )
        needed >> gate
    # The triggerer then finds a run with the XComs of the task.
    finished = run(dag)
    emulator.set_balance("100.0")

    with comms_of(finished, dag):
        async with triggerer() as airflow:
            trigger_id = await airflow.start_stored(**as_the_scheduler_starts(dag, finished))
            await polled(emulator, 2)
            assert not airflow.happened
            emulator.set_balance("100.1")
            event = (await airflow.events(1))[trigger_id]

    assert event.payload["usage"]["credit_balance"] == 100.1


@needs_start_in_triggerer
async def test_template_that_renders_to_no_number_fails_the_task(airflow_db, emulator):
    with new_dag("unrendered", params={"needed": 3}) as dag:
        CreditThresholdSensor(task_id="gate", threshold="{{ params.needed }}", soft_fail=True, start_from_trigger=True)
    finished = run(dag)
    dag.params["needed"] = "lots"
    finished.dag_run.conf = {"needed": "lots"}

    with comms_of(finished, dag):
        async with triggerer() as airflow:
            await airflow.start_stored(**as_the_scheduler_starts(dag, finished))
            told = await airflow.payload()

    assert told["error"] == "VideoDBConfigError"
    assert "lots" in told["message"]


@needs_start_in_triggerer
async def test_timeout_begins_in_the_triggerer(airflow_db, emulator):
    with new_dag("in_time") as dag:
        CreditThresholdSensor(task_id="gate", threshold=3, poke_interval=0.1, timeout=0.5, start_from_trigger=True)
    finished = run(dag)
    emulator.set_balance(0)

    with comms_of(finished, dag):
        async with triggerer() as airflow:
            began = time.monotonic()
            await airflow.start_stored(**as_the_scheduler_starts(dag, finished))
            told = await airflow.payload()

    assert told["status"] == "timeout"
    assert 0.5 <= time.monotonic() - began < 5


def test_mapped_task_starts_in_a_worker(airflow_db, emulator):
    with new_dag("mapped") as dag:
        CreditThresholdSensor.partial(task_id="gate", poke_interval=0.1, timeout=30, start_from_trigger=True).expand(
            threshold=[1, "2", 3]
        )

    assert run(dag).state == "success"
    assert stored_form(dag).get_task("gate").start_trigger_args is None


@needs_start_in_triggerer
async def test_trigger_of_a_mapped_task_has_no_templates(airflow_db, emulator):
    with new_dag("mapped_wait") as dag:
        CreditThresholdSensor.partial(task_id="gate", poke_interval=0.1, timeout=30).expand(threshold=[1, 2])
    finished = run(dag)

    # Airflow builds a template context in the triggerer for a mapped task too.
    classpath, kwargs = CreditThresholdTrigger(
        threshold="3", videodb_conn_id="videodb_default", poll_interval=0.1, deadline=time.time() + 30
    ).serialize()
    with comms_of(finished, dag):
        async with triggerer() as airflow:
            await airflow.start_stored(classpath, kwargs, **of_the_run(dag, finished))
            assert (await airflow.payload())["status"] == "enough"


def needed() -> Any:
    @task
    def estimate() -> Any:
        return [3]

    return estimate()


#: Ways to give an argument, and whether Airflow can pass it to a trigger without a worker.
ARGUMENTS: dict[str, tuple[Callable[[], Any], bool]] = {
    "a number": (lambda: 3, True),
    "a decimal": (lambda: Decimal(3), True),
    "a text": (lambda: "3", True),
    "a template": (lambda: "{{ 3 }}", True),
    "a result": (needed, True),
    "a part of a result": (lambda: needed()["credits"], True),
    "a part with a quote in its name": (lambda: needed()["what's needed"], False),
    "a mapped result": (lambda: needed().map(lambda credits: credits), False),
    "results side by side": (lambda: needed().zip(needed()), False),
    "results one after the other": (lambda: needed().concat(needed()), False),
    "a list": (lambda: ["{{ 3 }}"], False),
    "a parameter": (lambda: DagParam(DagContext.get_current(), "needed", 3), False),
}


@needs_start_in_triggerer
@pytest.mark.parametrize("name", ["threshold", "videodb_conn_id"])
@pytest.mark.parametrize(("give", "is_told"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_argument_without_a_template_starts_in_a_worker(name, give, is_told):
    with new_dag("given", params={"needed": 3}) as dag:
        gate = CreditThresholdSensor(task_id="gate", **{"threshold": 3, name: give()}, start_from_trigger=True)

    assert gate.start_from_trigger is is_told
    stored = stored_form(dag).get_task("gate")
    assert stored.start_from_trigger is is_told
    assert (stored.start_trigger_args is not None) == is_told
    if is_told:
        kwargs = BaseSerialization.deserialize(stored.start_trigger_args.trigger_kwargs)
        assert not any(word in kwargs[name] for word in ("XComArg", "object at", "MappedArgument"))


@pytest.mark.parametrize("threshold", [3, "{{ 3 }}", "XComArg", "MappedArgument"])
def test_task_of_a_mapped_group_starts_in_a_worker(airflow_db, emulator, threshold):
    with new_dag("grouped") as dag:

        @task_group
        def for_each(credits: int) -> None:
            @task
            def estimate(credits: int) -> int:
                return credits

            given = {"XComArg": lambda: estimate(credits), "MappedArgument": lambda: credits}
            CreditThresholdSensor(
                task_id="gate",
                threshold=given.get(threshold, lambda: threshold)(),
                poke_interval=0.1,
                timeout=30,
                start_from_trigger=True,
            )

        for_each.expand(credits=[1, 2, 3])

    stored = stored_form(dag).get_task("for_each.gate")
    finished = run(dag)

    assert stored.start_from_trigger is False
    assert finished.state == "success"
    gates = [ti for ti in finished.dag_run.get_task_instances() if ti.task_id == "for_each.gate"]
    assert [ti.state for ti in gates] == ["success"] * 3


def test_mapped_output_is_waited_for(airflow_db, emulator):
    with new_dag("changed") as dag:

        @task
        def estimate() -> list[int]:
            return [1, 2]

        CreditThresholdSensor.partial(task_id="gate", poke_interval=0.1, timeout=30, start_from_trigger=True).expand(
            threshold=estimate().map(lambda credits: credits + 1)
        )

    assert run(dag).state == "success"
