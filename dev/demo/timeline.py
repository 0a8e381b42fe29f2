"""The live timeline: what happened in Airflow, at VideoDB and at the payer's desk, in one order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from dev.demo.console import say, styled

if TYPE_CHECKING:
    from collections.abc import Iterable

# Airflow's records arrive a little after the moment they speak of; holding lines back that long keeps them in order.
HOLD = timedelta(seconds=1)


@dataclass(frozen=True)
class Moment:
    """Something that happened: when, and who did what."""

    at: datetime
    who: str
    what: str
    style: str = ""


class Timeline:
    """
    Prints moments in the order in which they happened.

    :param start: the moment that counts as 0.0 seconds.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._held: list[Moment] = []
        say(styled(f"{'seconds':>8}  {'who':<15}  what", "bold"))

    def add(self, moments: Iterable[Moment]) -> None:
        """Take moments in and print those that nothing older can come before any more."""
        self._held.extend(moments)
        self._print_until(datetime.now(UTC) - HOLD)

    def finish(self) -> None:
        """Print what is still held back."""
        self._print_until(datetime.max.replace(tzinfo=UTC))

    def _print_until(self, limit: datetime) -> None:
        ready = sorted((moment for moment in self._held if moment.at <= limit), key=lambda moment: moment.at)
        self._held = [moment for moment in self._held if moment.at > limit]
        # A list that is read page by page is one line, not one per page.
        for _, same in groupby(ready, key=lambda moment: (moment.who, moment.what)):
            alike = list(same)
            self._print(alike[0], len(alike))

    def _print(self, moment: Moment, count: int) -> None:
        seconds = max((moment.at - self._start).total_seconds(), 0)
        times = f"  ({count} times)" if count > 1 else ""
        text = f"{moment.who:<15}  {moment.what}{times}"
        say(f"{seconds:8.1f}  {styled(text, moment.style) if moment.style else text}")
