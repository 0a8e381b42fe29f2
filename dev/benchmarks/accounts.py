"""Many tasks wait for many slow accounts."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from dev.benchmarks.api_server import api_server
from dev.benchmarks.contenders import API_KEY
from dev.benchmarks.triggerer import triggerer

if TYPE_CHECKING:
    from pathlib import Path

    from dev.benchmarks.contenders import Contender

#: A poll that comes this many seconds late is still in its interval.
_TOLERANCE = 1.0
_INTERVALS = 2
_ARRIVAL_SECONDS = 240.0


def measure_accounts(
    contender: Contender, *, accounts: int, tasks: int, latency: float, interval: float, logs: Path
) -> dict[str, float]:
    """
    Measure whether every account is polled in time.

    :param tasks: how many tasks wait, spread over the accounts.
    :param latency: seconds until the API responds.
    :param interval: seconds between polls.
    :return: the figures by measure.
    """
    keys = {f"bench_account_{number}": f"{API_KEY}-{number}" for number in range(accounts)}
    with api_server(logs, missing=contender.missing, latency=latency) as api:
        port = api.ask("port")
        connections = {name: contender.connection(port, key) for name, key in keys.items()}
        with triggerer(logs, connections=connections) as process:
            stored = [contender.trigger(name, interval) for name in keys]
            process.start(itertools.islice(itertools.cycle(stored), tasks), timeout=_ARRIVAL_SECONDS)
            # The first request of every account gets its response.
            time.sleep(latency + 1)
            began = time.monotonic()
            time.sleep(_INTERVALS * interval)
            ended = time.monotonic()
            times: dict[str, list[float]] = api.ask("by_key", since=began, until=ended)
    gaps = [_longest_gap(began, times.get(key, []), ended) for key in keys.values()]
    return {
        f"{accounts} slow accounts: polled in every interval": sum(gap <= interval + _TOLERANCE for gap in gaps),
        f"{accounts} slow accounts: longest time without a poll, seconds": max(gaps),
        f"{accounts} slow accounts: requests per poll interval": sum(map(len, times.values())) / _INTERVALS,
    }


def _longest_gap(began: float, times: list[float], ended: float) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise([began, *times, ended]))
