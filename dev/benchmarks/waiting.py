"""One account, one triggerer, N tasks that wait: what it costs while nothing happens, and how fast they wake up."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.benchmarks.api import Api, api_server
from dev.benchmarks.contenders import API_KEY
from dev.benchmarks.triggerer import Triggerer, triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.benchmarks.contenders import Contender

CONN_ID = "bench_account"
_FIRST_SECONDS = 60.0
_ARRIVAL_SECONDS = 240.0
_WAKE_UP_SECONDS = 240.0


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """
    What one contender cost with one number of waiting tasks.

    :param requests_per_interval: requests that the API saw, per poll interval.
    :param cpu_per_minute: CPU seconds of the triggerer process, all threads, per minute of waiting.
    :param bytes_per_task: resident memory that each task after the first added; ``None`` with a single one.
    :param blocked_arriving: longest time that the event loop was blocked while the tasks came, in seconds.
    :param blocked_waiting: the same while they waited.
    :param blocked_waking: the same while they woke up.
    :param watchdog: the longest that Airflow's own watchdog would have measured while they waited and woke up.
    :param woken: seconds from the credits to the last event; ``None`` if it did not come.
    :param woken_at_supervisor: the same until the supervisor had the last event.
    """

    requests_per_interval: float
    cpu_per_minute: float
    bytes_per_task: float | None
    blocked_arriving: float
    blocked_waiting: float
    blocked_waking: float
    watchdog: float
    woken: float | None
    woken_at_supervisor: float | None

    @property
    def blocked(self) -> float:
        """The longest time that the event loop was blocked while the tasks waited and woke up."""
        return max(self.blocked_waiting, self.blocked_waking)


def measure_waiting(contender: Contender, *, tasks: int, interval: float, intervals: int, logs: Path) -> Waiting:
    """Let ``tasks`` wait, watch them for so many intervals, then let the credits arrive."""
    with _course(contender, tasks=tasks, interval=interval, logs=logs) as course:
        return course.everything(intervals)


def measure_requests(contender: Contender, *, tasks: int, interval: float, intervals: int, logs: Path) -> float:
    """Let ``tasks`` wait for so many intervals, and return how many requests the API saw in each."""
    with _course(contender, tasks=tasks, interval=interval, logs=logs) as course:
        return course.requests(intervals)


@contextmanager
def _course(contender: Contender, *, tasks: int, interval: float, logs: Path) -> Iterator[_Course]:
    with api_server(logs, missing=contender.missing) as api:
        connections = {CONN_ID: contender.connection(api.port, API_KEY)}
        with triggerer(logs, connections=connections) as process:
            yield _Course(contender, api, process, tasks=tasks, interval=interval)


class _Course:
    """The steps of one measurement, in their order."""

    def __init__(self, contender: Contender, api: Api, process: Triggerer, *, tasks: int, interval: float) -> None:
        self._contender = contender
        self._api = api
        self._process = process
        self._tasks = tasks
        self._interval = interval
        self._stored = contender.trigger(CONN_ID, interval)

    def requests(self, intervals: int) -> float:
        """Return the requests per interval."""
        self._first_task()
        self._other_tasks()
        self._settle()
        return self._watch_costs(intervals)[0]

    def everything(self, intervals: int) -> Waiting:
        """Return all figures."""
        before = self._first_task()
        arriving = self._other_tasks()
        self._settle()
        requests, cpu = self._watch_costs(intervals)
        after = self._process.memory()
        waiting = self._watch_loop()
        woken, at_supervisor, waking = self._wake_up()
        return Waiting(
            requests_per_interval=requests,
            cpu_per_minute=cpu,
            bytes_per_task=(after - before) / (self._tasks - 1) if self._tasks > 1 else None,
            blocked_arriving=arriving["blocked"],
            blocked_waiting=waiting["blocked"],
            blocked_waking=waking["blocked"],
            watchdog=max(waiting["watchdog"], waking["watchdog"]),
            woken=woken,
            woken_at_supervisor=at_supervisor,
        )

    def _first_task(self) -> int:
        """Let one task wait until everything is imported and connected, and return the memory that took."""
        self._process.wait([self._stored], timeout=_FIRST_SECONDS)
        if self._contender.polls:
            self._api.wait_for(2, timeout=_FIRST_SECONDS + 2 * self._interval)
        return self._process.memory()

    def _other_tasks(self) -> dict[str, float]:
        self._process.watch()
        self._process.wait([self._stored] * (self._tasks - 1), timeout=_ARRIVAL_SECONDS)
        return self._process.gaps()

    def _settle(self) -> None:
        """Wait until each task has had the time to ask once."""
        time.sleep(self._interval)
        if self._contender.missing:
            self._api.reaches(self._tasks + 2, timeout=_ARRIVAL_SECONDS)

    def _watch_costs(self, intervals: int) -> tuple[float, float]:
        """Return requests per interval and CPU seconds per minute."""
        if self._contender.polls:
            # A window that begins half-way between two polls holds a whole number of them.
            self._api.wait_for(1, timeout=_FIRST_SECONDS)
            time.sleep(self._interval / 2)
        began = self._process.usage()
        time.sleep(intervals * self._interval)
        ended = self._process.usage()
        seconds = ended["at"] - began["at"]
        requests = self._api.count(since=began["at"], until=ended["at"])
        return requests * self._interval / seconds, (ended["cpu"] - began["cpu"]) * 60 / seconds

    def _watch_loop(self) -> dict[str, float]:
        self._process.watch()
        time.sleep(self._interval)
        return self._process.gaps()

    def _wake_up(self) -> tuple[float | None, float | None, dict[str, float]]:
        self._process.watch()
        opened = self._api.open_after_next() if self._contender.polls else self._process.let_go()
        complete = self._process.events(self._tasks, timeout=_WAKE_UP_SECONDS)
        gaps = self._process.gaps()
        if not complete:
            return None, None, gaps
        return self._process.usage()["last_event"] - opened, self._process.received[-1] - opened, gaps
