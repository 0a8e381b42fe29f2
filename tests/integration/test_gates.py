"""The credit gate in whole DAG runs: how the task ends, in every mode."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.dag_runs import Run, new_dag, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


pytestmark = pytest.mark.usefixtures("airflow_db")

MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable": {"deferrable": True},
    "ends_in_trigger": {"deferrable": True, "start_from_trigger": True, "end_from_trigger": True},
}
SOFT_OR_NOT = ("hard", "soft")


class Gates:
    """A DAG with one gate per mode, with and without soft_fail, and the error of each."""

    def __init__(self, *, retries: int = 0, soft: tuple[str, ...] = SOFT_OR_NOT, **arguments: Any) -> None:
        self.errors: dict[str, str] = {}
        self.ids = [f"{mode}_{softness}" for mode, softness in product(MODES, soft)]
        usual = {"threshold": 10, "poke_interval": 0.1, "timeout": 20} | arguments
        with new_dag("gates") as self.dag:
            for task_id in self.ids:
                mode, _, softness = task_id.rpartition("_")
                CreditThresholdSensor(
                    task_id=task_id,
                    soft_fail=softness == "soft",
                    retries=retries,
                    retry_delay=timedelta(0),
                    on_failure_callback=self._note,
                    **usual | MODES[mode],
                )

    def run(self) -> Run:
        return run(self.dag)

    def states(self) -> dict[str, tuple[str, int]]:
        """Run the DAG and return state and number of tries by task."""
        finished = self.run()
        return {task_id: (finished.task_state(task_id), finished.tries(task_id)) for task_id in self.ids}

    def all(self, hard: tuple[str, int], soft: tuple[str, int]) -> dict[str, tuple[str, int]]:
        return {task_id: hard if task_id.endswith("_hard") else soft for task_id in self.ids}

    def _note(self, context: Any) -> None:
        error = context["exception"]
        self.errors[context["ti"].task_id] = f"{type(error).__name__}: {error}"

    @property
    def error_classes(self) -> set[str]:
        return {error.partition(":")[0] for error in self.errors.values()}


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Act while the DAG runs, and raise the error of the act."""
    errors: list[BaseException] = []

    def acting() -> None:
        try:
            act()
        except BaseException as err:  # noqa: BLE001 - raised again below
            errors.append(err)

    thread = threading.Thread(target=acting)
    thread.start()
    yield
    thread.join(300)
    assert not thread.is_alive()
    assert not errors


@pytest.mark.parametrize("mode", MODES)
def test_gate_opens_when_the_credits_arrive(emulator, mode):
    with new_dag("waits") as dag:

        @task
        def estimate() -> str:
            return "100.1"

        gate = CreditThresholdSensor(task_id="gate", threshold=estimate(), poke_interval=0.1, timeout=60, **MODES[mode])

        @task
        def index(usage: dict[str, Any]) -> float:
            return usage["credit_balance"]

        index(gate.output)
    emulator.set_balance("100.0")

    def credits_arrive() -> None:
        emulator.wait_for_calls(2, timeout=300)
        emulator.set_balance("100.1")

    with meanwhile(credits_arrive):
        finished = run(dag)

    assert finished.state == "success"
    assert finished.result("gate") == {
        "credit_balance": 100.1,
        "usage_this_month": 0,
        "breakdown": {},
        "held": 0,
        "balance": 100.1,
        "available": 100.1,
    }
    assert finished.result("index") == 100.1


def test_timeout_fails_or_skips_and_is_not_retried(emulator):
    gates = Gates(timeout=0.3, retries=2)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("skipped", 1))
    assert gates.error_classes == {"AirflowSensorTimeout"}
    assert all("did not reach 10 credits within 0.3 s (timeout)." in error for error in gates.errors.values())
    # More than the first poll of each task: the trigger polls too.
    assert len(emulator.calls()) > len(gates.ids)


def test_timeout_of_zero_is_one_poll_in_every_mode(emulator):
    gates = Gates(timeout=0)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("skipped", 1))


def test_gate_without_an_interval_still_ends(emulator):
    gates = Gates(poke_interval=0, timeout=0.2)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("skipped", 1))


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, "VideoDBAuthenticationError"), (403, "VideoDBPermissionError"), (503, "VideoDBServerError")],
)
def test_fault_of_the_api_fails_and_skips_in_no_mode(emulator, status, error):
    emulator.add_fault("status", times=None, status=status)
    gates = Gates(max_consecutive_failures=2, retries=1)

    assert gates.states() == gates.all(hard=("failed", 2), soft=("failed", 2))
    assert gates.error_classes == {error}


@pytest.mark.parametrize(("soft_fail", "ends_in_trigger"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(("status", "error"), [(401, "VideoDBAuthenticationError"), (503, "VideoDBServerError")])
def test_fault_that_the_trigger_meets_is_raised_in_the_task(emulator, status, error, soft_fail, ends_in_trigger):
    emulator.add_fault("status", times=None, skip=1, status=status)
    raised: list[BaseException] = []
    with new_dag("in_trigger") as dag:
        CreditThresholdSensor(
            task_id="gate",
            threshold=10,
            poke_interval=0.05,
            timeout=20,
            max_consecutive_failures=2,
            soft_fail=soft_fail,
            end_from_trigger=ends_in_trigger,
            on_failure_callback=lambda context: raised.append(context["exception"]),
        )

    assert run(dag).task_state("gate") == "failed"
    assert [type(err).__name__ for err in raised] == [error]
    assert str(status) in str(raised[0])


def test_blip_ends_no_gate(emulator):
    for gate in range(len(MODES)):
        # Each gate reads too few credits, fails twice, and reads enough at its fourth poll.
        emulator.add_fault("html", times=1, body='{"credit_balance": 3, "usage_this_month": 0}')
        emulator.add_fault("status", times=2, status=502 + gate % 2)
        emulator.add_fault("html", times=1, body='{"credit_balance": 10, "usage_this_month": 0}')
    in_turn = []
    for mode, arguments in MODES.items():
        with new_dag(f"blips_{mode}") as dag:
            CreditThresholdSensor(
                task_id="gate",
                threshold=10,
                poke_interval=0.05,
                timeout=20,
                max_consecutive_failures=3,
                **arguments,
            )
        # dag.test() drops what an event of end_from_trigger carries, so the task polls once more.
        if mode == "ends_in_trigger":
            emulator.set_balance(10)
        in_turn.append(run(dag).state)

    assert in_turn == ["success"] * len(MODES)


def test_hanging_videodb_does_not_prolong_the_timeout(emulator, monkeypatch):
    impatient = emulator.connection | {"extra": json.dumps({"timeout": 0.1})}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(impatient))
    emulator.add_fault("hang", times=None)
    gates = Gates(soft=("soft",), timeout=0.3, max_consecutive_failures=1000)

    assert set(gates.states().values()) == {("skipped", 1)}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"threshold": "{{ 'lots' }}"}, "VideoDBConfigError"),
        ({"threshold": "{{ -1 }}"}, "VideoDBConfigError"),
        ({"videodb_conn_id": "nowhere"}, "VideoDBNoConnectionError"),
    ],
    ids=str,
)
def test_mistake_in_the_dag_fails_before_a_request(emulator, arguments, error):
    gates = Gates(**arguments)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("failed", 1))
    assert gates.error_classes == {error}
    assert emulator.calls() == []


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_gate_waits_as_long_as_videodb_asks(emulator, mode):
    emulator.set_balance(10)
    emulator.add_fault("status", times=1, status=429, retry_after="1")
    with new_dag("limited") as dag:
        CreditThresholdSensor(task_id="gate", threshold=10, poke_interval=0.1, timeout=20, **MODES[mode])

    assert run(dag).state == "success"

    limited, answered = emulator.calls()
    assert (answered.wall_time - limited.wall_time).total_seconds() >= 1
