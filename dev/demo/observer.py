"""Watches a run from outside."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dev.airflow.states import StateChanges
from dev.demo.console import number
from dev.demo.timeline import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from airflow_provider_videodb.emulator.server import Emulator
    from dev.airflow.api import DagRun
    from dev.demo.environment import Environment

GATE_TASK = "top_up"
_LINK_KEY = "payment_url"
#: A process that reported `deferred` needs this long to exit on a busy machine, at most.
_TIME_TO_EXIT = timedelta(seconds=10)
_STATE_WORDS = {
    "running": ("runs on a worker", "yellow"),
    "deferred": ("waits without a worker", "cyan"),
    "success": ("succeeded", "green"),
    "failed": ("failed", "red"),
    "up_for_retry": ("failed, will be retried", "red"),
}


@dataclass(frozen=True)
class Stretch:
    """A time that a task spent in one state."""

    task_id: str
    state: str
    start: datetime
    seconds: float


@dataclass
class Evidence:
    """
    What was seen of a run.

    :param links_while_waiting: what the buttons on the task's page opened during the wait.
    :param polls_while_waiting: how often we polled during the wait.
    :param busy_while_waiting: how often a worker slot or the task's process was in use then.
    :param events: when each task entered a state, as entries of Airflow's audit log.
    :param events_source: where these are from.
    """

    payment_link: str | None = None
    links_while_waiting: set[str] = field(default_factory=set)
    polls_while_waiting: int = 0
    busy_while_waiting: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    events_source: str = ""


class Observer:
    """Polls a run and collects evidence."""

    def __init__(self, env: Environment, run: DagRun) -> None:
        self.evidence = Evidence()
        self._env = env
        self._run = run
        self._changes = StateChanges(run)
        self.evidence.events_source = self._changes.source
        self._last_call = 0
        self._balance: Decimal | None = None
        self._has_exited = False

    def poll(self) -> list[Moment]:
        """Return what happened since the last poll."""
        moments = [*self._new_calls(), *self._new_events(), *self._new_link(), *self._new_balance()]
        self._observe_wait()
        return moments

    def _new_events(self) -> Iterator[Moment]:
        events = [event for event in self._changes.poll() if event["event"] in _STATE_WORDS and event["task_id"]]
        for event in events[len(self.evidence.events) :]:
            what, style = _STATE_WORDS[event["event"]]
            yield Moment(when(event), _task_name(event), what, style)
        self.evidence.events = events

    def _new_calls(self) -> Iterator[Moment]:
        done = [call for call in self._env.emulator.calls() if call.number > self._last_call and call.done]
        for call in done:
            yield Moment(call.wall_time, "VideoDB", f"{call.method} {call.path} -> {call.status}", "dim")
        self._last_call = max((call.number for call in done), default=self._last_call)

    def _new_link(self) -> Iterator[Moment]:
        if self.evidence.payment_link:
            return
        link = self._run.xcom(GATE_TASK, _LINK_KEY)
        if link:
            self.evidence.payment_link = link
            yield Moment(datetime.now(UTC), "payment link", link, "bold")

    def _new_balance(self) -> Iterator[Moment]:
        balance = self._env.emulator.balance
        if balance != self._balance:
            self._balance = balance
            yield Moment(datetime.now(UTC), "credit balance", number(balance), "bold")

    def _observe_wait(self) -> None:
        """Record what the deferred task uses and shows."""
        task = self._run.task(GATE_TASK)
        if task["state"] != "deferred":
            return
        busy = self._env.airflow.api.pool()["running_slots"] or self._env.airflow.has_process(task["pid"])
        links = self._run.links(GATE_TASK).values()
        if self._run.task(GATE_TASK)["state"] != "deferred":
            return
        # A process that waits in the worker never exits, so it is busy in every later poll.
        self._has_exited = self._has_exited or not busy or self._had_time_to_exit()
        if not self._has_exited:
            return
        self.evidence.polls_while_waiting += 1
        self.evidence.busy_while_waiting += bool(busy)
        self.evidence.links_while_waiting |= {link for link in links if link}

    def _had_time_to_exit(self) -> bool:
        """Tell whether the deferring process had time to exit."""
        last = [event for event in self.evidence.events if event["task_id"] == GATE_TASK][-1:]
        return any(datetime.now(UTC) - when(event) > _TIME_TO_EXIT for event in last)


def when(event: dict[str, Any]) -> datetime:
    """Return the time of an audit log entry."""
    return datetime.fromisoformat(event["when"])


def stretches(events: list[dict[str, Any]]) -> list[Stretch]:
    """Return each state that a task has left again."""
    found = []
    entered: dict[str, dict[str, Any]] = {}
    for event in events:
        before = entered.get(_task_name(event))
        if before:
            seconds = (when(event) - when(before)).total_seconds()
            found.append(Stretch(before["task_id"], before["event"], when(before), seconds))
        entered[_task_name(event)] = event
    return found


def worker_seconds_during(waits: list[Stretch], all_stretches: list[Stretch]) -> float:
    """Return the seconds that tasks ran during the waits."""
    running = [stretch for stretch in all_stretches if stretch.state == "running"]
    return sum(_overlap(wait, work) for wait in waits for work in running)


def describe_calls(emulator: Emulator) -> str:
    """Count calls by endpoint: `5 x GET /billing/usage`."""
    calls = [(call.method, re.sub(r"^/(video|async-response)/[^/]+", r"/\1/*", call.path)) for call in emulator.calls()]
    counts = Counter(f"{method} {path}" for method, path in calls)
    return ", ".join(f"{times} x {endpoint}" for endpoint, times in counts.items())


def _task_name(event: dict[str, Any]) -> str:
    index = event["map_index"]
    return event["task_id"] if index is None or index < 0 else f"{event['task_id']} [{index}]"


def _overlap(one: Stretch, other: Stretch) -> float:
    start = max(one.start, other.start)
    end = min(one.start + timedelta(seconds=one.seconds), other.start + timedelta(seconds=other.seconds))
    return max((end - start).total_seconds(), 0)
