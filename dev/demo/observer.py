"""Watches a run of the credit gate from outside, as Airflow's REST API and the emulator show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dev.demo.console import number
from dev.demo.timeline import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from airflow_provider_videodb.emulator.control.calls import Call
    from dev.airflow.api import DagRun
    from dev.demo.environment import Stage

GATE_TASK = "top_up"
LINK_KEY = "payment_url"
LINK_BUTTON = "Pay 20 USD"
TIME_TO_EXIT = timedelta(seconds=1)
STATE_WORDS = {
    "running": ("runs on a worker", "yellow"),
    "deferred": ("deferred: waits without a worker", "cyan"),
    "success": ("success", "green"),
    "failed": ("failed", "red"),
    "up_for_retry": ("failed, will be retried", "red"),
}


@dataclass(frozen=True)
class Stretch:
    """A time during which a task was in one state."""

    task_id: str
    state: str
    start: datetime
    seconds: float


@dataclass
class Evidence:
    """What was seen, for the promises to be checked against."""

    payment_link: str | None = None
    link_on_page_while_deferred: str | None = None
    looks_while_waiting: int = 0
    workers_seen_while_waiting: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)


class Observer:
    """
    Looks at a run again and again, says what is new, and keeps the evidence.

    :param stage: the emulator and the Airflow the run is in.
    :param run: the run to watch.
    """

    def __init__(self, stage: Stage, run: DagRun) -> None:
        self.evidence = Evidence()
        self._stage = stage
        self._run = run
        self._calls_told = 0
        self._balance: Decimal | None = None

    def look(self) -> list[Moment]:
        """Look once and return what happened since the last time."""
        moments = [*self._new_calls(), *self._new_events(), *self._new_link(), *self._new_balance()]
        self._look_at_the_wait()
        return moments

    def _new_events(self) -> Iterator[Moment]:
        events = [event for event in self._run.events() if event["event"] in STATE_WORDS and event["task_id"]]
        for event in events[len(self.evidence.events) :]:
            what, style = STATE_WORDS[event["event"]]
            yield Moment(when(event), _name(event), what, style)
        self.evidence.events = events

    def _new_calls(self) -> Iterator[Moment]:
        done = [call for call in self._stage.emulator.calls() if call.number > self._calls_told and call.done]
        for call in done:
            yield Moment(call.wall_time, "VideoDB", f"{call.method} {call.path} -> {call.status}", "dim")
        self._calls_told = max((call.number for call in done), default=self._calls_told)

    def _new_link(self) -> Iterator[Moment]:
        if self.evidence.payment_link:
            return
        link = self._run.xcom(GATE_TASK, LINK_KEY)
        if link:
            self.evidence.payment_link = link
            yield Moment(datetime.now(UTC), "payment link", link, "bold")

    def _new_balance(self) -> Iterator[Moment]:
        balance = self._stage.emulator.balance
        if balance != self._balance:
            self._balance = balance
            yield Moment(datetime.now(UTC), "credit balance", number(balance), "bold")

    def _look_at_the_wait(self) -> None:
        """While the task waits, see whether a worker slot or its process is in use, and what its page links to."""
        task = self._run.task(GATE_TASK)
        if task["state"] != "deferred" or not self._has_settled():
            return
        busy = self._stage.airflow.api.pool()["running_slots"] or self._stage.airflow.has_process(task["pid"])
        link = self._run.links(GATE_TASK).get(LINK_BUTTON)
        if self._run.task(GATE_TASK)["state"] != "deferred":
            return
        self.evidence.looks_while_waiting += 1
        self.evidence.workers_seen_while_waiting += bool(busy)
        self.evidence.link_on_page_while_deferred = link

    def _has_settled(self) -> bool:
        """Tell whether the task deferred long enough ago for the process that said so to have exited."""
        last = [event for event in self.evidence.events if event["task_id"] == GATE_TASK][-1:]
        return any(datetime.now(UTC) - when(event) > TIME_TO_EXIT for event in last)


def when(event: dict[str, Any]) -> datetime:
    """Return the moment an event of Airflow's audit log speaks of."""
    return datetime.fromisoformat(event["when"])


def stretches(events: list[dict[str, Any]]) -> list[Stretch]:
    """Return how long each task was in each state that it has left again."""
    found = []
    entered: dict[str, dict[str, Any]] = {}
    for event in events:
        before = entered.get(_name(event))
        if before:
            seconds = (when(event) - when(before)).total_seconds()
            found.append(Stretch(before["task_id"], before["event"], when(before), seconds))
        entered[_name(event)] = event
    return found


def worker_seconds_during(waits: list[Stretch], all_stretches: list[Stretch]) -> float:
    """Return how long tasks of the run were running while another one waited."""
    running = [stretch for stretch in all_stretches if stretch.state == "running"]
    return sum(_overlap(wait, work) for wait in waits for work in running)


def calls_in_words(calls: list[Call]) -> str:
    """Count calls by what they asked for: `5 x GET /billing/usage`."""
    counts: dict[str, int] = {}
    for call in calls:
        name = f"{call.method} {_generic(call.path)}"
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} x {name}" for name, count in counts.items())


def _name(event: dict[str, Any]) -> str:
    index = event["map_index"]
    return event["task_id"] if index is None or index < 0 else f"{event['task_id']} [{index}]"


def _overlap(one: Stretch, other: Stretch) -> float:
    start = max(one.start, other.start)
    end = min(one.start + timedelta(seconds=one.seconds), other.start + timedelta(seconds=other.seconds))
    return max((end - start).total_seconds(), 0)


def _generic(path: str) -> str:
    """Leave the id out of `/video/m-123/index`."""
    parts = path.split("/")
    return "/".join("*" if position == 2 and parts[1] == "video" else part for position, part in enumerate(parts))
