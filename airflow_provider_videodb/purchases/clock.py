"""The time that passes while a try buys."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CheckoutStatus, by_id
from airflow_provider_videodb.purchases.rules.candidates import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


class Clock:
    """The time, and the passing of it."""

    def now(self) -> datetime:
        """Return the time of this machine."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that nobody can set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class TryClock:
    """What one try has seen over time, by a clock that nobody can set back."""

    def __init__(self, clock: Clock, *, in_flight: float) -> None:
        self._clock = clock
        # The clocks of two workers tell different times, so the whole time that a POST may take begins anew here.
        self._quiet_from = clock.monotonic() + in_flight
        #: What looks have shown of what the POSTs may have made, by id.
        self.seen: dict[str, Checkout] = {}
        #: Which checkout is called expired, and since when.
        self._expired: tuple[str | None, float] | None = None

    def note_end_of_post(self) -> None:
        """Note that the POST of this try has ended one way or the other."""
        self._quiet_from = self._clock.monotonic()

    def quiet_for(self, now: float) -> timedelta:
        """Return for how long no POST of this task can have been under way."""
        return timedelta(seconds=now - self._quiet_from)

    def expired_for(self, purchase: Purchase | None, checkouts: list[Checkout], now: float) -> timedelta | None:
        """Return for how long this try has seen VideoDB call the purchase's checkout expired."""
        if purchase is None or status_of(purchase, by_id(checkouts)) != CheckoutStatus.EXPIRED:
            self._expired = None
            return None
        if self._expired is None or self._expired[0] != purchase.checkout_id:
            self._expired = purchase.checkout_id, now
        return timedelta(seconds=now - self._expired[1])


def age_from_now(clock: Clock) -> Callable[[], float]:
    """Return what tells the seconds since now: a machine that slept shows in one of the two clocks at least."""
    wall, monotonic = clock.now(), clock.monotonic()
    return lambda: max(abs((clock.now() - wall).total_seconds()), clock.monotonic() - monotonic)
