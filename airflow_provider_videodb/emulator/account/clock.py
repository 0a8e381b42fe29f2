"""The emulator's time: the wall clock, moved forward by as much as a test asks for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.values import lenient_decimal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.account.values import Number

_TEN_YEARS = 10 * 366 * 86400


class Clock:
    """
    Emulator time = wall clock + offset. It never goes back, since accounts are kept in the order of time.

    :param wall: seconds since the epoch; replaced by tests of the ledger.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset = 0.0

    @property
    def offset(self) -> float:
        """Seconds by which emulator time is ahead of the wall clock."""
        return self._offset

    def now(self) -> datetime:
        """Return emulator time, UTC."""
        return datetime.fromtimestamp(self._wall(), UTC) + timedelta(seconds=self._offset)

    def advance(self, seconds: Number) -> datetime:
        """Move emulator time forward and return it."""
        self._offset += float(lenient_decimal_of("seconds", seconds, at_most=_TEN_YEARS))
        return self.now()
