"""Many accounts whose API answers slowly, and whether each of them is still asked in every interval."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.benchmarks.api import api_server
from dev.benchmarks.contenders import API_KEY
from dev.benchmarks.triggerer import triggerer

if TYPE_CHECKING:
    from pathlib import Path

    from dev.benchmarks.contenders import Contender

#: How much later than an interval after the last one a poll may come and still be the next interval's.
TOLERANCE = 1.0
_ARRIVAL_SECONDS = 240.0


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """
    How often the accounts were asked.

    :param every_interval: how many of them never went without a request for longer than an interval and `TOLERANCE`.
    :param longest: the longest time that one of them went without, in seconds.
    :param requests_per_interval: requests of all accounts, per poll interval.
    """

    every_interval: int
    longest: float
    requests_per_interval: float


def measure_accounts(
    contender: Contender,
    *,
    accounts: int,
    tasks: int,
    latency: float,
    interval: float,
    intervals: int,
    logs: Path,
) -> Accounts:
    """Let ``tasks`` wait, spread over the accounts, and watch for so many intervals who is asked."""
    names = [f"bench_account_{number}" for number in range(accounts)]
    keys = [f"{API_KEY}-{number}" for number in range(accounts)]
    with api_server(logs, missing=contender.missing, latency=latency) as api:
        connections = {name: contender.connection(api.port, key) for name, key in zip(names, keys, strict=True)}
        with triggerer(logs, connections=connections) as process:
            stored = [contender.trigger(name, interval) for name in names]
            process.wait(itertools.islice(itertools.cycle(stored), tasks), timeout=_ARRIVAL_SECONDS)
            # All of them have asked once, and the answers are on their way.
            time.sleep(latency + 1)
            began = time.monotonic()
            time.sleep(intervals * interval)
            ended = time.monotonic()
            times = api.by_key(since=began, until=ended)
    longest = [_longest_gap(began, times.get(key, []), ended) for key in keys]
    return Accounts(
        every_interval=sum(gap <= interval + TOLERANCE for gap in longest),
        longest=max(longest),
        requests_per_interval=sum(map(len, times.values())) / intervals,
    )


def _longest_gap(began: float, times: list[float], ended: float) -> float:
    return max(later - earlier for earlier, later in itertools.pairwise([began, *times, ended]))
