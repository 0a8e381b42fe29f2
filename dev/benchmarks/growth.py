"""How the figures grow with the number of waiting tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.benchmarks.contenders import HTTP, IDLE, OURS, SHARED
from dev.benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.benchmarks.plan import Plan, Results
    from dev.benchmarks.waiting import Waiting

#: What "flat" means: so much more per task at ten times the tasks is noise.
FLAT = 1.1
#: Seconds below which the time that N tasks take to wake up is one event's.
_SHORTEST_WAKE_UP = 0.01


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """A figure, and by what it may be multiplied; ``None`` means by what the number of tasks is multiplied."""

    measure: str
    of: Callable[[Waiting], float | None]
    most: float | None = None


def growth(plan: Plan, results: Results) -> list[Row]:
    """Return by what each figure is multiplied from the smaller number of waiting tasks to the larger."""

    def beyond_interval(seen: Waiting) -> float | None:
        return None if seen.woken is None else max(seen.woken - plan.interval, _SHORTEST_WAKE_UP)

    figures = (
        _Figure(measure="requests per poll interval", of=lambda seen: seen.requests_per_interval),
        _Figure(measure="triggerer CPU", of=lambda seen: seen.cpu_per_minute),
        _Figure(measure="memory per waiting task", of=lambda seen: seen.bytes_per_task, most=FLAT),
        _Figure(measure="wake-up, what is beyond one interval", of=beyond_interval),
        _Figure(measure="event loop blocked, longest", of=lambda seen: seen.blocked),
    )
    return [_row(figure, plan, results) for figure in figures]


def _row(figure: _Figure, plan: Plan, results: Results) -> Row:
    most = plan.large / plan.small if figure.most is None else figure.most
    ratios = {}
    for name in (OURS.name, HTTP.name, SHARED.name, IDLE.name):
        small, large = (figure.of(results.waiting[name, tasks]) for tasks in (plan.small, plan.large))
        if small and large is not None:
            ratios[name] = large / small
    return Row(
        measure=figure.measure,
        at=f"{plan.small:,} → {plan.large:,}",
        cells={name: f"x {ratio:.2f}" for name, ratio in ratios.items()},
        goal=f"{'linear' if figure.most is None else 'flat'}: at most x {most:.3g}",
        reached=ratios[OURS.name] <= most if OURS.name in ratios else None,
    )
