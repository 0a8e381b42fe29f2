"""Measures what safety costs: how long gates wait, and how many credits lie idle, beside other ways to decide."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from multiprocessing import get_context
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.rules import account as rules
from tests.support.holds_search import contenders, programs
from tests.support.holds_search.airflow import Pipeline
from tests.support.holds_search.schedule import Schedule, play

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOUR = 3600.0
_PIPELINES = 30
_HOLDS = (10, 20, 20, 40, 40, 80, 160)
_NEVER_MS = 10**12


@dataclass(frozen=True)
class Load:
    """
    A workload.

    :param minutes: between two arrivals, on average.
    :param least: the smallest part of its hold that a job costs.
    """

    name: str
    minutes: float
    least: float


@dataclass(frozen=True)
class Contender:
    """
    A way to decide which gate opens.

    :param replaced: the program of a gate; ``None`` for the real one.
    :param bypass_ms: how long a waiting gate may be passed.
    """

    name: str
    replaced: Any = None
    bypass_ms: int | None = None
    gives_spent: bool = True

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Let the gates decide in this way."""
        before = programs.gate, rules.BYPASS_MS
        try:
            programs.gate = self.replaced or programs.gate
            rules.BYPASS_MS = rules.BYPASS_MS if self.bypass_ms is None else self.bypass_ms
            yield
        finally:
            programs.gate, rules.BYPASS_MS = before


@dataclass
class Figures:
    """What one contender did with one load."""

    waits: list[float] = field(default_factory=list)
    big: list[float] = field(default_factory=list)
    small: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    never: int = 0
    overcommitted: int = 0

    @property
    def wait(self) -> float:
        """Mean wait in minutes."""
        return mean(self.waits)


ORACLE, HOLDS = "all-knowing oracle, FIFO", "**holds**"
LOADS = (
    Load("one in 20 min, cost = hold", 20, 1.0),
    Load("one in 20 min, cost 50-100 % of the hold", 20, 0.5),
    Load("one in 10 min, cost = hold", 10, 1.0),
    Load("one in 10 min, cost 50-100 % of the hold", 10, 0.5),
)
CONTENDERS = (
    Contender(ORACLE, contenders.oracle),
    Contender("threshold only", contenders.threshold),
    Contender("pool of 1 slot", contenders.pool(1)),
    Contender("pool of 4 slots", contenders.pool(4)),
    Contender("holds, strict FIFO", bypass_ms=0),
    Contender("holds, first fit", bypass_ms=_NEVER_MS),
    Contender("holds, without `spent`", gives_spent=False),
    Contender(HOLDS),
)


def workload(load: Load, random: Random) -> Schedule:
    """Return 30 pipelines, of which each asks for 10 to 160 credits, and a top-up each hour."""
    pipelines, now = [], 0.0
    for number in range(_PIPELINES):
        now += random.expovariate(1 / (load.minutes * 60))
        pipelines.append(_pipeline(f"p{number}", now, load, random))
    return Schedule(
        pipelines=pipelines,
        left=300,
        topups=[(hour * _HOUR, 150, 0.0) for hour in range(1, 24)],
    )


def _pipeline(name: str, arrives: float, load: Load, random: Random) -> Pipeline:
    credits = random.choice(_HOLDS)
    cost = round(credits * random.uniform(load.least, 1.0))
    duration = random.uniform(1.0, 40.0) * 60.0
    cuts = sorted(random.randint(0, cost) for _ in range(random.randint(0, 3)))
    parts = zip([0, *cuts], [*cuts, cost], strict=True)
    return Pipeline(
        name=name,
        credits=credits,
        costs=[(random.random() * duration, to - since) for since, to in parts if to > since],
        duration=duration,
        job_fails=random.random() < 0.05,
        releases=True,
        arrives=arrives,
        is_setup=False,
    )


def measure(contender: Contender, load: Load, workloads: int) -> Figures:
    """Play some workloads. They are the same for each contender."""
    figures = Figures()
    with contender.installed():
        for seed in range(workloads):
            random = Random(seed)
            schedule = workload(load, random)
            schedule.gives_spent = contender.gives_spent
            outcome = play(schedule, random, until=24 * _HOUR, stops=False)
            opened = [run for run in outcome.pipelines if run.opened_after is not None]
            figures.waits += [run.opened_after / 60 for run in opened]
            figures.big += [run.opened_after / 60 for run in opened if run.credits >= 160]
            figures.small += [run.opened_after / 60 for run in opened if run.credits <= 20]
            figures.idle.append(outcome.idle)
            figures.never += len(outcome.pipelines) - len(opened)
            figures.overcommitted += bool(outcome.violations)
    return figures


def compare(workloads: int, *, cores: int = 2) -> dict[tuple[str, str], Figures]:
    """Measure each contender with each load."""
    asked = [(contender.name, load.name, workloads) for contender in CONTENDERS for load in LOADS]
    with get_context("fork").Pool(cores) as pool:
        found = pool.starmap(_measure_named, asked, chunksize=1)
    return {(name, load): one for (name, load, _), one in zip(asked, found, strict=True)}


def _measure_named(name: str, load: str, workloads: int) -> Figures:
    contender = next(one for one in CONTENDERS if one.name == name)
    return measure(contender, next(one for one in LOADS if one.name == load), workloads)


def table(found: dict[tuple[str, str], Figures], workloads: int) -> str:
    """Return the figures in Markdown."""
    lines = [
        "| gate | " + " | ".join(load.name for load in LOADS) + " |",
        "| --- |" + " --- |" * len(LOADS),
    ]
    for contender in CONTENDERS:
        cells = [_cell(found[contender.name, load.name], workloads) for load in LOADS]
        lines.append(f"| {contender.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figures: Figures, workloads: int) -> str:
    text = f"{figures.wait:.1f} ({mean(figures.big):.0f} / {mean(figures.small):.0f}), {mean(figures.idle):.0f} idle"
    if figures.overcommitted:
        text += f", over-commits in {100 * figures.overcommitted / workloads:.0f} %"
    return text
