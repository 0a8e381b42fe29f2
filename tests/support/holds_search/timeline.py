"""Simulated time: events in their order, and who waits for a change."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

#: Seconds since 1970 when a schedule starts.
_START = 1_800_000_000.0


class Timeline:
    """
    A queue of events.

    :param poll: seconds between two polls of one who waits.
    :param is_in_step: whether all who wait poll at the same moments, as in one triggerer.
    """

    def __init__(self, random: Random, *, poll: float, is_in_step: bool) -> None:
        self.random = random
        self.now = 0.0
        #: Counts the changes that one who waits may see.
        self.version = 0
        self._poll, self._is_in_step = poll, is_in_step
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self._waiting: list[Callable[[], object]] = []
        self._after_events: list[tuple[int, Callable[[], None]]] = []

    def clock(self, skew: float) -> Callable[[], float]:
        """Return the clock of one machine, in seconds since 1970."""
        return lambda: _START + self.now + skew

    def after(self, seconds: float, event: Callable[[], object]) -> None:
        """Let something happen."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), event))

    def after_change(self, version: int, event: Callable[[], object]) -> None:
        """Let something happen at the first poll after a change."""
        if version == self.version:
            self._waiting.append(event)
        else:
            self.after(self._until_poll(), event)

    def changed(self) -> None:
        """Wake those who wait. A poll in between would find what it found before."""
        self.version += 1
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self.after(self._until_poll(), event)

    def after_events(self, number: int, event: Callable[[], None], *, within: float) -> None:
        """Let something happen a few seconds after that many of the next events of a pipeline."""
        self._after_events.append((number, lambda: self.after(self.random.random() * within, event)))

    def event(self) -> None:
        """Note that a gate, a job or a release has started or ended."""
        due = [event for number, event in self._after_events if number == 1]
        self._after_events = [(number - 1, event) for number, event in self._after_events if number > 1]
        for event in due:
            event()

    def run(self, *, until: float, is_done: Callable[[], bool]) -> None:
        """Let everything happen in its order."""
        while self._events and not is_done():
            at, _, event = heapq.heappop(self._events)
            if at > until:
                return
            self.now = at
            event()

    def _until_poll(self) -> float:
        if self._is_in_step:
            return self._poll - self.now % self._poll
        return self._poll * (0.5 + self.random.random())
