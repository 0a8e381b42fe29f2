"""How much is measured, and the figures that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dev.benchmarks.accounts import Accounts
    from dev.benchmarks.imports import ImportCost
    from dev.benchmarks.waiting import Waiting
    from dev.benchmarks.workers import Occupation


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    Sizes and durations.

    :param counted: numbers of waiting tasks for which only requests are counted.
    :param small: number of waiting tasks for which everything is measured.
    :param large: the same, to see what grows with it.
    :param interval: the poll interval in seconds, the same for everybody.
    :param intervals: for how many of them requests and CPU are measured.
    :param accounts: number of accounts whose API answers slowly.
    :param account_tasks: number of tasks that wait for one of them.
    :param account_interval: their poll interval.
    :param account_intervals: for how many of them they are watched.
    :param latency: seconds in which their API answers.
    :param import_runs: how often each import is timed.
    :param live: measure workers, which takes a whole Airflow.
    :param at_once: how many contenders wait side by side, where their figures do not matter.
    """

    counted: tuple[int, ...]
    small: int
    large: int
    interval: float
    intervals: int
    accounts: int
    account_tasks: int
    account_interval: float
    account_intervals: int
    latency: float
    import_runs: int
    live: bool
    at_once: int = 1


FULL = Plan(
    counted=(1, 100),
    small=1000,
    large=10_000,
    interval=5,
    intervals=4,
    accounts=100,
    account_tasks=10_000,
    account_interval=30,
    account_intervals=2,
    latency=2,
    import_runs=5,
    live=True,
)

#: Shows that everything runs; its figures say nothing.
QUICK = Plan(
    counted=(1,),
    small=3,
    large=10,
    interval=0.5,
    intervals=2,
    accounts=3,
    account_tasks=10,
    account_interval=1,
    account_intervals=2,
    latency=0.2,
    import_runs=1,
    live=False,
    at_once=4,
)


@dataclass(kw_only=True)
class Results:
    """
    What was measured, by the name of the contender and, where there are several, the number of waiting tasks.

    :param requests: requests per poll interval.
    :param imports: by contender and by what is imported.
    :param workers: by DAG; empty if no Airflow was run.
    """

    requests: dict[tuple[str, int], float] = field(default_factory=dict)
    waiting: dict[tuple[str, int], Waiting] = field(default_factory=dict)
    accounts: dict[str, Accounts] = field(default_factory=dict)
    imports: dict[tuple[str, str], ImportCost] = field(default_factory=dict)
    workers: dict[str, Occupation] = field(default_factory=dict)
