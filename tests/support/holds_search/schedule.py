"""One schedule of the adversary: what happens, from a seed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds import ledger
from airflow_provider_videodb.holds.rules.records import parse_key
from tests.support.holds_search.account import Account
from tests.support.holds_search.airflow import Airflow, Pipeline
from tests.support.holds_search.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR = 3600.0
#: A schedule ends after this many seconds.
_LONGEST = 8 * _HOUR
_CREDITS = 100


@dataclass
class Schedule:
    """
    What happens.

    :param reserve: credits that no gate may use, and that others spend.
    :param goes_on: whether a gate goes on after an error.
    :param gives_spent: whether a release says what the job has spent.
    """

    pipelines: list[Pipeline]
    left: int = _CREDITS
    fault_rate: float = 0.0
    latency: float = 0.2
    poll: float = 60.0
    is_in_step: bool = True
    reserve: int = 0
    settlement_ms: int = 20 * 60 * 1000
    scheduler_delay: float = 0.0
    goes_on: bool = False
    gives_spent: bool = True
    #: When, how many, and how much later the balance shows them.
    topups: list[tuple[float, int, float]] = field(default_factory=list)
    spent_outside: list[tuple[float, int]] = field(default_factory=list)
    #: When, which run, and whether the gate alone.
    clears: list[tuple[float, int, bool]] = field(default_factory=list)


@dataclass
class Outcome:
    """How a schedule ended."""

    violations: list[str]
    pipelines: list[Pipeline]
    #: Credits that nobody was owed, on average over time.
    idle: float = 0.0


def adversarial(random: Random) -> Schedule:
    """Return a schedule that tries to make two gates count on the same credits."""
    pipelines = [_pipeline(f"p{number}", random) for number in range(random.choice((2, 2, 3, 3, 4, 6)))]
    if random.random() < 0.6:
        for run in pipelines:
            run.arrives = random.random() * 5.0
    reserve = random.choice((0, 0, 0, 15))
    return Schedule(
        pipelines=pipelines,
        fault_rate=random.choice((0.0, 0.01, 0.03, 0.1)),
        latency=random.choice((0.1, 2.0, 20.0)),
        poll=random.choice((15.0, 60.0, 300.0)),
        is_in_step=random.random() < 0.6,
        reserve=reserve,
        scheduler_delay=random.choice((1.0, 30.0)),
        goes_on=random.random() < 0.5,
        gives_spent=random.random() < 0.5,
        topups=[
            (random.random() * 3 * _HOUR, random.randint(20, 80), random.choice((0.0, random.random() * 600.0)))
            for _ in range(random.randint(0, 2))
        ],
        spent_outside=[(random.random() * 3 * _HOUR, reserve // 3) for _ in range(3 if reserve else 0)],
        clears=[
            (random.random() * 3 * _HOUR, random.randrange(len(pipelines)), random.random() < 0.3)
            for _ in range(random.choice((0, 0, 1, 2)))
        ],
    )


def _pipeline(name: str, random: Random) -> Pipeline:
    credits = random.randint(20, 90)
    cost = credits if random.random() < 0.6 else random.randint(credits // 2, credits)
    duration = random.uniform(1.0, 40.0) * 60.0
    cuts = sorted(random.randint(0, cost) for _ in range(random.randint(0, 3)))
    return Pipeline(
        name=name,
        credits=credits,
        costs=[
            (random.random() * duration, to - since)
            for since, to in zip([0, *cuts], [*cuts, cost], strict=True)
            if to > since
        ],
        duration=duration,
        job_fails=random.random() < 0.15,
        releases=random.random() < 0.7,
        arrives=random.random() * _HOUR,
        is_setup=random.random() < 0.5,
    )


def play(schedule: Schedule, random: Random, *, until: float = _LONGEST, stops: bool = True) -> Outcome:
    """
    Let a schedule happen, over the real code.

    :param stops: whether it ends with the first violation; else with the last pipeline.
    """
    timeline = Timeline(random, poll=schedule.poll, is_in_step=schedule.is_in_step)
    account = Account(left=schedule.left)
    airflow = Airflow(schedule, timeline, account)
    for at, credits, later in schedule.topups:
        timeline.after(at, lambda credits=credits, later=later: _top_up(timeline, account, credits, later))
    for at, credits in schedule.spent_outside:
        timeline.after(at, lambda credits=credits: airflow.spend(credits))
    for at, number, alone in schedule.clears:
        run = schedule.pipelines[number]
        timeline.after(at, lambda run=run, alone=alone: airflow.clear(run, alone=alone))
    with _asked(airflow):
        if stops:
            timeline.run(until=until, is_done=lambda: bool(account.violations))
        else:
            idle = _Idle(timeline, account)
            timeline.run(until=until, is_done=lambda: idle.sees_all_ended(schedule.pipelines))
            return Outcome(account.violations, schedule.pipelines, idle.average)
    return Outcome(account.violations, schedule.pipelines)


class _Idle:
    """Measures the credits that nobody is owed."""

    def __init__(self, timeline: Timeline, account: Account) -> None:
        self._timeline, self._account = timeline, account
        self._since = self._total = 0.0
        self._credits = account.left

    @property
    def average(self) -> float:
        return self._total / max(self._since, 1.0)

    def sees_all_ended(self, pipelines: list[Pipeline]) -> bool:
        """Measure before the next event, and tell whether all pipelines have ended."""
        self._total += (self._timeline.now - self._since) * max(self._credits, 0)
        self._since = self._timeline.now
        self._credits = self._account.left - self._account.owed
        return not any(run.is_active for run in pipelines)


def search(seed: int) -> Outcome:
    """Play the adversary's schedule of a seed."""
    random = Random(seed)
    return play(adversarial(random), random)


def _top_up(timeline: Timeline, account: Account, credits: int, later: float) -> None:
    account.left += credits
    account.unseen_topups += credits

    def show() -> None:
        account.unseen_topups -= credits
        timeline.changed()

    timeline.after(later, show)


_parse_key = lru_cache(maxsize=10_000)(parse_key)


@contextlib.contextmanager
def _asked(airflow: Airflow) -> Iterator[None]:
    """Let the ledger ask this Airflow. Parsing a key is pure, so its results are kept."""
    module: Any = ledger
    replaced = {
        "has_run_ended": airflow.has_run_ended,
        "has_task_finished": airflow.has_task_finished,
        "parse_key": _parse_key,
    }
    before = {name: getattr(module, name) for name in replaced}
    try:
        for name, value in replaced.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
