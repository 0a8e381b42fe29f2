"""What happens to the distributed Airflow, in order, and what is seen of it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from dev.airflow.api import FINISHED
from dev.airflow.processes import listening_addresses, until
from dev.demo.console import say
from dev.demo.payer import pay
from tests.chaos.assertions import OUTAGE_SECONDS
from tests.chaos.cluster import CONCURRENCY, TRIGGERERS, WORKERS, triggerers
from tests.chaos.collect import accounts, ended
from tests.chaos.evidence import Evidence, Outage, TriggererKill, WorkerKill
from tests.chaos.polls import watch_polls
from tests.chaos.scale import ACCOUNT_OF, GATES, POLL_SECONDS, TASKS, TOP_UPS, TOTAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_videodb.emulator.server import Emulator
    from dev.airflow.api import DagRun
    from dev.airflow.instance import AirflowInstance

T = TypeVar("T")

DAG_ID = "two_accounts"
LINK_KEY = "payment_url"
POST = ("POST", "/billing/topup")
#: Pauses that double while looks fail add up to the outage: the last one ends no later than this after it.
LONGEST_PAUSE = OUTAGE_SECONDS + 2 * POLL_SECONDS
LOOK_EVERY_SECONDS = 2.0
WAIT_SECONDS = 240


class Story:
    """
    A run of the DAG, and what is done to it.

    :param emulators: the VideoDB of each account.
    """

    def __init__(self, airflow: AirflowInstance, emulators: Mapping[str, Emulator]) -> None:
        self._airflow = airflow
        self._emulators = emulators
        self._began = time.monotonic()

    def play(self) -> Evidence:
        """Tell the story to its end and return what was seen of it."""
        seen = Evidence(expected=TASKS)
        self._tell(f"{GATES} gates and {TOP_UPS} top-ups start on one account, one of each on another")
        run, seen.worker_kill = self._start_and_kill_worker()
        # They find out what became of the answers that were lost, and would buy again if VideoDB were there.
        self._wait(lambda: run.count(state="running", try_number=2) > 0, "the killed tasks to be tried again")
        seen.outage = self._take_videodb_away(run)
        over = time.monotonic()
        self._wait(lambda: run.count(state="deferred") == TOTAL, "all tasks to wait")
        time.sleep(max(0.0, over + LONGEST_PAUSE - time.monotonic()))
        self._tell("everything waits")
        seen.listening = listening_addresses(self._airflow.all_pids())
        seen.windows.append(watch_polls(run, self._emulators, triggerers=len(TRIGGERERS)))
        seen.triggerer_kill = self._kill_triggerer(run)
        # The first look of a poll reads the whole list, which may take more than one request.
        time.sleep(2 * POLL_SECONDS)
        seen.windows.append(watch_polls(run, self._emulators, triggerers=len(TRIGGERERS) - 1))
        self._pay_every_link(run)
        self._wait(lambda: run.state() in FINISHED, "the run to finish")
        tasks = run.tasks()
        seen.ended, seen.accounts = ended(tasks), accounts(run, tasks, self._emulators)
        return seen

    def _start_and_kill_worker(self) -> tuple[DagRun, WorkerKill]:
        """Start the run, and kill a worker when every task on it has bought and waits for VideoDB's answer."""
        emulator, slots = self._emulators["one"], len(WORKERS) * CONCURRENCY
        hang = emulator.add_fault("hang", method=POST[0], path=POST[1], times=slots, work=True)
        run = self._airflow.api.trigger(DAG_ID)
        emulator.wait_for_calls(slots, *POST, until=lambda call: call.accepted, timeout=WAIT_SECONDS)
        pids = self._airflow.pids(WORKERS[0])
        running = [task for task in run.tasks(state="running") if task["pid"] in pids]
        self._airflow.kill(WORKERS[0])
        # VideoDB notices that nobody is there any more, while the other worker's calls are still held.
        lost = emulator.wait_for_calls(len(running), *POST, until=lambda call: call.done, timeout=WAIT_SECONDS)
        emulator.remove_fault(hang.id)
        self._tell(f"{WORKERS[0]} was killed with {len(running)} tasks on it; it is started again")
        self._airflow.restart(WORKERS[0])
        answers_lost = sum(call.accepted and call.status is None for call in lost)
        return run, WorkerKill(tasks=len(running), lost_answers=answers_lost)

    def _take_videodb_away(self, run: DagRun) -> Outage:
        waiting = run.count(state="deferred")
        self._tell(f"VideoDB is away for {OUTAGE_SECONDS} s, while {waiting} tasks wait and others run")
        with ExitStack() as away:
            for emulator in self._emulators.values():
                away.enter_context(emulator.offline())
            before, start = self._answered(), time.monotonic()
            time.sleep(OUTAGE_SECONDS)
            seconds, answered = time.monotonic() - start, self._answered() - before
        self._tell("VideoDB is back")
        return Outage(seconds=seconds, answered=answered, waiting=waiting)

    def _answered(self) -> int:
        return sum(call.done for emulator in self._emulators.values() for call in emulator.calls())

    def _kill_triggerer(self, run: DagRun) -> TriggererKill:
        """Kill one, and wait until Airflow has given it up and the other has all triggers."""
        before = _triggerer_of_each(run)
        self._airflow.kill(TRIGGERERS[0])
        self._tell(f"{TRIGGERERS[0]} was killed")
        survivor = self._wait(self._only_triggerer, "Airflow to give up the killed triggerer")
        waited = {task for task, triggerer in before.items() if triggerer != survivor}

        def taken_over() -> set[str] | None:
            now = _triggerer_of_each(run)
            return set(now) if set(now.values()) == {survivor} else None

        after = self._wait(taken_over, "the other triggerer to take over")
        self._tell(f"{TRIGGERERS[1]} has taken over its {len(waited)} triggers")
        return TriggererKill(waited=len(waited), taken_over=len(waited & after))

    def _only_triggerer(self) -> int | None:
        alive = [job["id"] for job in triggerers(self._airflow)]
        return alive[0] if len(alive) == 1 else None

    def _pay_every_link(self, run: DagRun) -> None:
        top_ups = [task for task in run.tasks() if task["task_id"] in ACCOUNT_OF]
        links = [run.xcom(task["task_id"], LINK_KEY, map_index=task["map_index"]) for task in top_ups]
        for link in links:
            pay(link)
        self._tell(f"a person has paid {len(links)} links")

    def _wait(self, check: Callable[[], T | None], what: str) -> T:
        return until(check, timeout=WAIT_SECONDS, what=what, interval=LOOK_EVERY_SECONDS)

    def _tell(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:6.1f} s  {what}")


def _triggerer_of_each(run: DagRun) -> dict[str, int | None]:
    """Return which triggerer has the trigger of each task instance that waits."""
    return {task["id"]: (task["trigger"] or {}).get("triggerer_id") for task in run.tasks(state="deferred")}
