"""Kills parts of Airflow during a run."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from dev.airflow.api import FINISHED
from dev.airflow.processes import listening_addresses, until
from dev.demo.console import say
from dev.demo.payer import pay
from tests.chaos.assertions import assert_each_paid_once, assert_polls_are_shared
from tests.chaos.cluster import CONCURRENCY, TRIGGERERS, WORKERS, triggerers
from tests.chaos.scale import ACCOUNT_OF, POLL_SECONDS, TASKS, TOTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_videodb.emulator.server import Emulator
    from dev.airflow.api import DagRun
    from dev.airflow.instance import AirflowInstance

T = TypeVar("T")

DAG_ID = "two_accounts"
_POST = ("POST", "/billing/topup")
#: What the triggers poll.
_POLLED_PATHS = ("/billing/usage", "/billing/checkouts")
_OUTAGE_SECONDS = 30
#: Pauses double while polls fail, so the last pause is about as long as the outage.
_LONGEST_PAUSE_SECONDS = _OUTAGE_SECONDS + 2 * POLL_SECONDS
_WATCH_SECONDS = 6 * POLL_SECONDS
_WAIT_SECONDS = 600
_CHECK_EVERY_SECONDS = 2.0


class Scenario:
    """
    One run of the DAG under faults.

    :param emulators: the VideoDB of each account, by name.
    """

    def __init__(self, airflow: AirflowInstance, emulators: Mapping[str, Emulator]) -> None:
        self._airflow = airflow
        self._emulators = emulators
        self._began = time.monotonic()

    def run(self) -> None:
        """Run the DAG, and assert at each step."""
        run = self._start_and_kill_worker()
        # Their second tries check what the lost POSTs bought, so VideoDB must be there for them.
        self._wait(lambda: run.count(state="running", try_number=2) > 0, "the killed tasks to be tried again")
        self._take_videodb_away(run)
        back = time.monotonic()
        self._wait(lambda: run.count(state="deferred") == TOTAL, "all tasks to wait")
        time.sleep(max(0.0, back + _LONGEST_PAUSE_SECONDS - time.monotonic()))
        self._say("every task waits in a triggerer")
        assert listening_addresses(self._airflow.all_pids()) == {"127.0.0.1"}
        self._watch_polls(run, triggerers=len(TRIGGERERS))
        self._kill_triggerer(run)
        # The first poll reads the whole list of checkouts, which may take two requests.
        time.sleep(2 * POLL_SECONDS)
        self._watch_polls(run, triggerers=len(TRIGGERERS) - 1)
        self._pay_every_link(run)
        self._wait(lambda: run.state() in FINISHED, "the run to finish")
        self._assert_paid_once(run)

    def _start_and_kill_worker(self) -> DagRun:
        """Kill a worker whose tasks all await a response."""
        emulator, slots = self._emulators["one"], len(WORKERS) * CONCURRENCY
        hang = emulator.add_fault("hang", method=_POST[0], path=_POST[1], times=slots, work=True)
        run = self._airflow.api.trigger(DAG_ID)
        self._say(f"{TOTAL} tasks start")
        emulator.wait_for_calls(slots, *_POST, until=lambda call: call.accepted, timeout=_WAIT_SECONDS)
        pids = self._airflow.pids(WORKERS[0])
        killed = [task for task in run.tasks(state="running") if task["pid"] in pids]
        self._airflow.kill(WORKERS[0])
        # The emulator ends a call when its client is gone. It still holds the calls of the other worker.
        ended = emulator.wait_for_calls(len(killed), *_POST, until=lambda call: call.done, timeout=_WAIT_SECONDS)
        emulator.remove_fault(hang.id)
        self._say(f"{WORKERS[0]} was killed with {len(killed)} tasks on it, and starts again")
        self._airflow.restart(WORKERS[0])
        lost = [call for call in ended if call.accepted and call.status is None]
        assert lost, "no purchase lost its response"
        return run

    def _take_videodb_away(self, run: DagRun) -> None:
        waiting = run.count(state="deferred")
        assert waiting > 0
        self._say(f"VideoDB goes away for {_OUTAGE_SECONDS} s, while {waiting} tasks wait and others run")
        with ExitStack() as away:
            for emulator in self._emulators.values():
                away.enter_context(emulator.offline())
            before = self._calls()
            time.sleep(_OUTAGE_SECONDS)
            assert self._calls() == before, "VideoDB responded while it was away"
        self._say("VideoDB is back")

    def _calls(self) -> int:
        return sum(call.done for emulator in self._emulators.values() for call in emulator.calls())

    def _watch_polls(self, run: DagRun, *, triggerers: int) -> None:
        """Assert that the waiting tasks share their polls."""
        start = datetime.now(UTC)
        time.sleep(_WATCH_SECONDS)
        end = datetime.now(UTC)
        assert run.events(event="running", after=start.isoformat(), before=end.isoformat()) == []
        calls = {
            f"GET {path} on account {name}": [
                call.wall_time for call in emulator.calls("GET", path) if start <= call.wall_time < end
            ]
            for name, emulator in self._emulators.items()
            for path in _POLLED_PATHS
        }
        assert_polls_are_shared(calls, interval=POLL_SECONDS, triggerers=triggerers)
        count = sum(map(len, calls.values()))
        self._say(f"{TOTAL} tasks sent {count} requests in {_WATCH_SECONDS / POLL_SECONDS:g} intervals")

    def _kill_triggerer(self, run: DagRun) -> None:
        """Kill a triggerer, and let the other take over."""
        before = _triggerer_of_each(run)
        self._airflow.kill(TRIGGERERS[0])
        self._say(f"{TRIGGERERS[0]} was killed")
        survivor = self._wait(self._only_triggerer, "Airflow to give up the killed triggerer")
        orphaned = {task for task, triggerer in before.items() if triggerer != survivor}
        assert orphaned, "nothing waited on the killed triggerer"
        self._wait(lambda: set(_triggerer_of_each(run).values()) == {survivor}, "the other triggerer to take over")
        assert orphaned <= set(_triggerer_of_each(run))
        self._say(f"{TRIGGERERS[1]} has taken over its {len(orphaned)} triggers")

    def _only_triggerer(self) -> int | None:
        alive = [job["id"] for job in triggerers(self._airflow)]
        return alive[0] if len(alive) == 1 else None

    def _pay_every_link(self, run: DagRun) -> None:
        top_ups = [task for task in run.tasks() if task["task_id"] in ACCOUNT_OF]
        for task in top_ups:
            pay(run.xcom(task["task_id"], "payment_url", map_index=task["map_index"]))
        self._say(f"a person paid {len(top_ups)} links")

    def _assert_paid_once(self, run: DagRun) -> None:
        tasks = run.tasks()
        assert Counter((task["task_id"], task["state"]) for task in tasks) == {
            (task_id, "success"): count for task_id, count in TASKS.items()
        }
        results = [
            (ACCOUNT_OF[task["task_id"]], run.xcom(task["task_id"], map_index=task["map_index"]) or {})
            for task in tasks
            if task["task_id"] in ACCOUNT_OF
        ]
        for name, emulator in self._emulators.items():
            assert_each_paid_once(
                [
                    result.get("checkout_id") if result.get("status") == "completed" else None
                    for account, result in results
                    if account == name
                ],
                [checkout.id for checkout in emulator.checkouts() if checkout.status == "completed"],
            )
        again = sum(task["try_number"] > 1 for task in tasks)
        self._say(f"{TOTAL} tasks succeeded, {again} of them after more than one try; each top-up was paid once")

    def _wait(self, check: Callable[[], T | None], what: str) -> T:
        return until(check, timeout=_WAIT_SECONDS, what=what, interval=_CHECK_EVERY_SECONDS)

    def _say(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:6.1f} s  {what}")


def _triggerer_of_each(run: DagRun) -> dict[str, int | None]:
    """Return the triggerer of each waiting task instance."""
    return {task["id"]: (task["trigger"] or {}).get("triggerer_id") for task in run.tasks(state="deferred")}
