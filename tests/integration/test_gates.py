"""The credit gate in whole DAG runs: what becomes of the task, in every mode and for every reason."""

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
    """One DAG with a gate per mode, with and without soft_fail, and what each of them ended with."""

    def __init__(self, *, retries: int = 0, soft: tuple[str, ...] = SOFT_OR_NOT, **arguments: Any) -> None:
        self.errors: dict[str, list[str]] = {}
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
        """Run them and return state and number of tries, by task."""
        finished = self.run()
        return {task_id: (finished.task_state(task_id), finished.tries(task_id)) for task_id in self.ids}

    def all(self, hard: tuple[str, int], soft: tuple[str, int]) -> dict[str, tuple[str, int]]:
        return {task_id: hard if task_id.endswith("_hard") else soft for task_id in self.ids}

    def _note(self, context: Any) -> None:
        self.errors[context["ti"].task_id] = type(context["exception"]).__name__


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something while the DAG runs, and show what went wrong with it."""
    errors: list[BaseException] = []

    def acting() -> None:
        try:
            act()
        except BaseException as err:  # noqa: BLE001 - raised again below
            errors.append(err)

    thread = threading.Thread(target=acting)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive()
    assert not errors


@pytest.mark.parametrize("mode", MODES)
def test_it_waits_until_the_credits_are_there_and_returns_what_it_saw(emulator, mode):
    with new_dag("waits") as dag:

        @task
        def estimate() -> str:
            return "100.1"

        gate = CreditThresholdSensor(task_id="gate", threshold=estimate(), poke_interval=0.1, timeout=20, **MODES[mode])

        @task
        def index(usage: dict[str, Any]) -> float:
            return usage["credit_balance"]

        index(gate.output)
    emulator.set_balance("100.0")

    def credits_arrive() -> None:
        emulator.wait_for_calls(2)
        emulator.set_balance("100.1")

    with meanwhile(credits_arrive):
        finished = run(dag)

    assert finished.state == "success"
    assert finished.result("gate") == {"credit_balance": 100.1, "usage_this_month": 0, "breakdown": {}}
    assert finished.result("index") == 100.1


def test_a_wait_that_is_over_fails_or_skips_in_every_mode_and_is_not_retried(emulator):
    gates = Gates(timeout=0.3, retries=2)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("skipped", 1))
    assert set(gates.errors.values()) == {"AirflowSensorTimeout"}
    # More than the first look of each: the trigger has looked too.
    assert len(emulator.calls()) > len(gates.ids)


def test_a_timeout_of_zero_is_one_look_in_every_mode(emulator):
    gates = Gates(timeout=0)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("skipped", 1))


def test_without_any_pause_between_pokes_it_still_ends(emulator):
    gates = Gates(poke_interval=0, timeout=0.2)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("skipped", 1))


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, "VideoDBAuthenticationError"), (403, "VideoDBPermissionError"), (503, "VideoDBServerError")],
)
def test_a_fault_of_the_api_fails_in_every_mode_and_skips_in_none(emulator, status, error):
    emulator.add_fault("status", times=None, status=status)
    gates = Gates(max_consecutive_failures=2, retries=1)

    assert gates.states() == gates.all(hard=("failed", 2), soft=("failed", 2))
    assert set(gates.errors.values()) == {error}


@pytest.mark.parametrize(("soft_fail", "ends_in_trigger"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize(("status", "error"), [(401, "VideoDBAuthenticationError"), (503, "VideoDBServerError")])
def test_a_fault_that_the_trigger_meets_is_raised_in_the_task(emulator, status, error, soft_fail, ends_in_trigger):
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


def test_a_blip_is_forgotten_in_every_mode(emulator):
    for gate in range(len(MODES)):
        # Of each gate the first look succeeds, two fail, and the credits are there at the fourth.
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
        # end_from_trigger cannot hand over what it saw under dag.test(), and looks once more.
        if mode == "ends_in_trigger":
            emulator.set_balance(10)
        in_turn.append(run(dag).state)

    assert in_turn == ["success"] * len(MODES)


def test_a_videodb_that_hangs_is_waited_for_no_longer_than_the_timeout(emulator, monkeypatch):
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
def test_a_mistake_in_the_dag_fails_in_every_mode_and_sends_nothing(emulator, arguments, error):
    gates = Gates(**arguments)

    assert gates.states() == gates.all(hard=("failed", 1), soft=("failed", 1))
    assert set(gates.errors.values()) == {error}
    assert emulator.calls() == []


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_videodb_is_left_in_peace_for_as_long_as_it_asks(emulator, mode):
    emulator.set_balance(10)
    emulator.add_fault("status", times=1, status=429, retry_after="1")
    with new_dag("limited") as dag:
        CreditThresholdSensor(task_id="gate", threshold=10, poke_interval=0.1, timeout=20, **MODES[mode])

    assert run(dag).state == "success"

    limited, answered = emulator.calls()
    assert (answered.wall_time - limited.wall_time).total_seconds() >= 1
