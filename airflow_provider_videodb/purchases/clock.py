"""Measures the time that passes during a purchase."""

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
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """Return the wall time of this machine in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that nobody can set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


class TryClock:
    """
    Times what one try sees, with the monotonic clock.

    :param in_flight: seconds that a POST of an earlier try may still take.
    """

    def __init__(self, clock: Clock, *, in_flight: float) -> None:
        self._clock = clock
        # The wall clocks of two workers differ. So the POST gets its whole time again.
        self._quiet_from = clock.monotonic() + in_flight
        #: The candidates that polls have listed, by id.
        self.seen: dict[str, Checkout] = {}
        #: The checkout that VideoDB calls expired, and since when.
        self._expired: tuple[str | None, float] | None = None

    def note_end_of_post(self) -> None:
        """Note that this try's POST has ended one way or the other."""
        self._quiet_from = self._clock.monotonic()

    def quiet_for(self, now: float) -> timedelta:
        """Return how long no POST of this task can have been in flight."""
        return timedelta(seconds=now - self._quiet_from)

    def expired_for(self, purchase: Purchase | None, checkouts: list[Checkout], now: float) -> timedelta | None:
        """Return how long this try has seen VideoDB call the checkout expired."""
        if purchase is None or status_of(purchase, by_id(checkouts)) != CheckoutStatus.EXPIRED:
            self._expired = None
            return None
        if self._expired is None or self._expired[0] != purchase.checkout_id:
            self._expired = purchase.checkout_id, now
        return timedelta(seconds=now - self._expired[1])


def age_from_now(clock: Clock) -> Callable[[], float]:
    """
    Return a function that tells the seconds since now.

    A machine that slept shows it in one of its two clocks at least, so the larger difference counts.
    """
    wall, monotonic = clock.now(), clock.monotonic()
    return lambda: max(abs((clock.now() - wall).total_seconds()), clock.monotonic() - monotonic)
