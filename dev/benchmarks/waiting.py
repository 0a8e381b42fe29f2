"""Many tasks wait for one account in one triggerer."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dev.airflow.processes import until
from dev.benchmarks.api_server import api_server
from dev.benchmarks.contenders import API_KEY
from dev.benchmarks.triggerer import Triggerer, triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.benchmarks.children import Child
    from dev.benchmarks.contenders import Contender, StoredTrigger

REQUESTS = "requests per poll interval"
WAKING = "event loop blocked while tasks wake up, ms"
_CONN_ID = "bench_account"
LONGEST_STEP_SECONDS = 240.0


def measure_waiting(
    contender: Contender, *, tasks: int, interval: float, intervals: int, logs: Path
) -> dict[str, float]:
    """
    Measure the arrival, the wait and the wake-up.

    :param tasks: how many tasks wait.
    :param interval: seconds between polls.
    :param intervals: how many intervals the measured part of the wait lasts.
    :return: the figures by measure.
    """
    with api_server(logs, missing=contender.missing) as api:
        connections = {_CONN_ID: contender.connection(api.ask("port"), API_KEY)}
        with triggerer(logs, connections=connections, collector=contender.collector) as process:
            stored = contender.trigger(_CONN_ID, interval)
            before = _start_first_task(contender, api, process, stored)
            with measure_blocks(process) as arriving:
                process.start([stored] * (tasks - 1), timeout=LONGEST_STEP_SECONDS)
            time.sleep(interval)
            if contender.missing:
                # Each of its tasks polls alone, so wait until the slowest has polled once.
                wait_for_requests(api, tasks + 2)
            costs = _measure_costs(contender, api, process, interval=interval, intervals=intervals)
            memory = process.ask("memory") - before
            with measure_blocks(process) as waiting:
                time.sleep(interval)
            with measure_blocks(process) as waking:
                times = _wake_up(contender, api, process, tasks)
    return {
        **costs,
        **({"memory per task, KiB": memory / 1024 / (tasks - 1)} if tasks > 1 else {}),
        **times,
        "event loop blocked while tasks arrive, ms": arriving[0] * 1000,
        "event loop blocked while tasks wait, ms": waiting[0] * 1000,
        WAKING: waking[0] * 1000,
    }


def _start_first_task(contender: Contender, api: Child, process: Triggerer, stored: StoredTrigger) -> int:
    """Start one task, and return the memory then."""
    process.start([stored], timeout=LONGEST_STEP_SECONDS)
    if contender.polls:
        wait_for_requests(api, 2)
    memory: int = process.ask("memory")
    return memory


@contextmanager
def measure_blocks(process: Triggerer) -> Iterator[list[float]]:
    """Append the event loop's longest block, in seconds."""
    longest: list[float] = []
    process.ask("watch_loop")
    yield longest
    longest.append(process.ask("longest_block"))


def _measure_costs(
    contender: Contender, api: Child, process: Triggerer, *, interval: float, intervals: int
) -> dict[str, float]:
    if contender.polls:
        # A window that begins half an interval after a poll holds a whole number of polls.
        wait_for_requests(api, api.ask("count") + 1)
        time.sleep(interval / 2)
    began = process.ask("usage")
    time.sleep(intervals * interval)
    ended = process.ask("usage")
    seconds = ended["at"] - began["at"]
    requests = api.ask("count", since=began["at"], until=ended["at"])
    return {
        **({REQUESTS: requests * interval / seconds} if contender.polls else {}),
        "triggerer CPU, seconds per minute": (ended["cpu"] - began["cpu"]) * 60 / seconds,
    }


def _wake_up(contender: Contender, api: Child, process: Triggerer, tasks: int) -> dict[str, float]:
    credited = api.ask("give_credits_after_next_response") if contender.polls else process.ask("wake_all")
    until(lambda: len(process.received) >= tasks, timeout=LONGEST_STEP_SECONDS, what=f"{tasks} events", interval=0.05)
    return {
        "wake-up until the last event, seconds": process.ask("usage")["last_event"] - credited,
        "wake-up until the supervisor has it, seconds": process.received[tasks - 1] - credited,
    }


def wait_for_requests(api: Child, count: int) -> None:
    """Wait until the API has received that many requests."""
    until(
        lambda: api.ask("count") >= count, timeout=LONGEST_STEP_SECONDS, what=f"{count} requests in all", interval=0.02
    )
