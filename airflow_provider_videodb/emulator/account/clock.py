"""The emulator's clock, which a test can move forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.values import lenient_decimal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.values import Number

_TEN_YEARS = 10 * 366 * 86400


class Clock:
    """
    The wall clock plus an offset.

    Emulator time never goes back, because the ledger keeps its entries in the order of time.

    :param wall: returns seconds since the epoch. The tests of the ledger replace it.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset = 0.0

    @property
    def offset(self) -> float:
        """Seconds that emulator time is ahead of the wall clock."""
        return self._offset

    def now(self) -> datetime:
        """Return emulator time in UTC."""
        return datetime.fromtimestamp(self._wall(), UTC) + timedelta(seconds=self._offset)

    def advance(self, seconds: Number) -> datetime:
        """Move emulator time forward and return it."""
        self._offset += float(lenient_decimal_of("seconds", seconds, at_most=_TEN_YEARS))
        return self.now()
