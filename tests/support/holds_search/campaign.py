"""Plays many schedules of the adversary, on all cores."""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

from tests.support.holds_search.model_check import check
from tests.support.holds_search.schedule import search

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.holds_search.ablations import Ablation

_AT_ONCE = 250


@dataclass(frozen=True)
class Tally:
    """
    What a search found.

    :param first: the first seed whose schedule breaks the invariant.
    :param what: how it breaks it.
    """

    schedules: int = 0
    violations: int = 0
    pipelines: int = 0
    opened: int = 0
    first: int | None = None
    what: str = ""

    @property
    def opened_percent(self) -> float:
        """How many of the gates opened."""
        return 100 * self.opened / max(self.pipelines, 1)

    def __add__(self, other: Tally) -> Tally:
        """Add what was found afterwards."""
        first, what = (other.first, other.what) if self.first is None else (self.first, self.what)
        return Tally(
            self.schedules + other.schedules,
            self.violations + other.violations,
            self.pipelines + other.pipelines,
            self.opened + other.opened,
            first,
            what,
        )


def search_seeds(seeds: Iterable[int]) -> Tally:
    """Play the schedules of some seeds."""
    return sum((_search_one(seed) for seed in seeds), Tally())


def search_on_all_cores(schedules: int, *, cores: int = 2) -> Tally:
    """Play the schedules of the first seeds."""
    parts = [range(since, min(since + _AT_ONCE, schedules)) for since in range(0, schedules, _AT_ONCE)]
    with get_context("fork").Pool(cores) as pool:
        return sum(pool.imap(search_seeds, parts), Tally())


def find_without(ablation: Ablation, *, schedules: int) -> str | None:
    """Return how a search noticed that a safeguard is gone; ``None`` if it did not."""
    with ablation.taken_out():
        if ablation.model is not None:
            checked = check(**ablation.model)
            return None if checked.path is None else f"model check, after {checked.states:,} states"
        found = next((seed for seed in range(schedules) if search(seed).violations), None)
        return None if found is None else f"adversary, in schedule {found + 1:,}"


def _search_one(seed: int) -> Tally:
    outcome = search(seed)
    is_broken = bool(outcome.violations)
    return Tally(
        schedules=1,
        violations=is_broken,
        pipelines=len(outcome.pipelines),
        opened=sum(run.opened_after is not None for run in outcome.pipelines),
        first=seed if is_broken else None,
        what=outcome.violations[0] if is_broken else "",
    )
