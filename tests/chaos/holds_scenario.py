"""Kills parts of Airflow while twenty gates want the same credits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_videodb.holds.rules.records import PREFIX, Flag, Kind, parse_key
from dev.airflow.api import FINISHED
from dev.airflow.processes import until
from dev.demo.console import say
from tests.chaos.cluster import TRIGGERERS, WORKERS, triggerers
from tests.chaos.scale import HELD_CREDITS, HOLDING_GATES, POLL_SECONDS, SHARED_BALANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from dev.airflow.api import DagRun
    from dev.airflow.instance import AirflowInstance

T = TypeVar("T")

DAG_ID = "twenty_gates"
_USAGE = ("GET", "/billing/usage")
#: How long VideoDB takes to show the balance at first, so that the worker dies between flag and decision.
_SLOW_SECONDS = 6
_WAIT_SECONDS = 600
_CHECK_EVERY_SECONDS = 0.5


class HoldsScenario:
    """
    One run of the DAG under faults.

    :param emulator: the VideoDB of the account.
    """

    def __init__(self, airflow: AirflowInstance, emulator: Emulator) -> None:
        self._airflow = airflow
        self._emulator = emulator
        self._began = time.monotonic()

    def run(self) -> None:
        """Run the DAG, and assert at each step."""
        fitting = SHARED_BALANCE // HELD_CREDITS
        self._emulator.set_balance(SHARED_BALANCE)
        run = self._start_and_kill_worker()
        self._kill_triggerer(run)
        self._wait(lambda: self._opened(run) == fitting, f"{fitting} gates to open")
        self._wait(lambda: run.count(state="deferred") == HOLDING_GATES - fitting, "the other gates to wait")
        time.sleep(5 * POLL_SECONDS)
        assert self._opened(run) == fitting
        assert len(self._flags(Kind.HELD)) == fitting
        self._say(f"exactly {fitting} of {HOLDING_GATES} gates of {HELD_CREDITS} are open on {SHARED_BALANCE} credits")
        self._emulator.set_balance(HOLDING_GATES * HELD_CREDITS)
        assert self._wait(lambda: run.state() in FINISHED and run.state(), "the run to finish") == "success"
        assert len(self._flags(Kind.HELD)) == HOLDING_GATES
        again = sum(task["try_number"] > 1 for task in run.tasks())
        self._say(f"with enough credits all {HOLDING_GATES} gates opened, {again} of them after more than one try")

    def _start_and_kill_worker(self) -> DagRun:
        """Kill a worker whose gates have raised their flags and wait for the balance."""
        slow = self._emulator.add_fault(
            "hang", method=_USAGE[0], path=_USAGE[1], times=1000, work=True, seconds=_SLOW_SECONDS
        )
        run = self._airflow.api.trigger(DAG_ID)
        self._say(f"{HOLDING_GATES} gates start")
        self._wait(lambda: self._flags(Kind.HELD), "a gate to raise its flag")
        pids = self._airflow.pids(WORKERS[0])
        killed = [task for task in run.tasks(state="running") if task["pid"] in pids]
        self._airflow.kill(WORKERS[0])
        raised = len(self._flags(Kind.HELD))
        self._emulator.remove_fault(slow.id)
        self._say(f"{WORKERS[0]} was killed with {len(killed)} gates on it, while {raised} flags were up")
        assert killed
        self._airflow.restart(WORKERS[0])
        return run

    def _kill_triggerer(self, run: DagRun) -> None:
        self._wait(lambda: run.count(state="deferred") > 0, "a gate to wait in a triggerer")
        self._airflow.kill(TRIGGERERS[0])
        self._say(f"{TRIGGERERS[0]} was killed with {run.count(state='deferred')} gates waiting")
        self._wait(lambda: len(triggerers(self._airflow)) == 1, "Airflow to give up the killed triggerer")
        self._airflow.restart(TRIGGERERS[0])
        self._wait(lambda: len(triggerers(self._airflow)) == len(TRIGGERERS), "both triggerers")

    def _opened(self, run: DagRun) -> int:
        opened = run.count(state="success")
        assert opened * HELD_CREDITS <= self._emulator.balance, "more gates are open than the account can pay for"
        return opened

    def _flags(self, kind: Kind) -> list[Flag]:
        keys = [
            entry["key"] for entry in self._airflow.api.pages("/variables", "variables", variable_key_pattern=PREFIX)
        ]
        return [flag for key in keys if (flag := parse_key(key)) is not None and flag.kind is kind]

    def _wait(self, check: Callable[[], T | None], what: str) -> T:
        return until(check, timeout=_WAIT_SECONDS, what=what, interval=_CHECK_EVERY_SECONDS)

    def _say(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:6.1f} s  {what}")
