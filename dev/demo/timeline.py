"""Prints what happened, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from dev.demo.console import say, styled

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Airflow's audit log is this late at most, so a line is printed only when it is older.
_LATENESS = timedelta(seconds=1)


@dataclass(frozen=True)
class Moment:
    """What somebody did, and when."""

    at: datetime
    who: str
    what: str
    style: str = ""


class Timeline:
    """
    Prints moments in the order in which they happened.

    :param start: the moment of second 0.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._held: list[Moment] = []
        say(styled(f"{'seconds':>8}  {'who':<15}  what", "bold"))

    def add(self, moments: Iterable[Moment]) -> None:
        """Take moments, and print those that nothing can precede."""
        self._held.extend(moments)
        self._print_until(datetime.now(UTC) - _LATENESS)

    def finish(self) -> None:
        """Print the rest."""
        self._print_until(datetime.max.replace(tzinfo=UTC))

    def _print_until(self, limit: datetime) -> None:
        ready = sorted((moment for moment in self._held if moment.at <= limit), key=lambda moment: moment.at)
        self._held = [moment for moment in self._held if moment.at > limit]
        # The pages of one list become one line.
        for _, same in groupby(ready, key=lambda moment: (moment.who, moment.what)):
            alike = list(same)
            self._print(alike[0], len(alike))

    def _print(self, moment: Moment, times: int) -> None:
        seconds = max((moment.at - self._start).total_seconds(), 0)
        repeated = f"  ({times} times)" if times > 1 else ""
        text = f"{moment.who:<15}  {moment.what}{repeated}"
        say(f"{seconds:8.1f}  {styled(text, moment.style) if moment.style else text}")
