"""
Adds up the purchases of a month. Pure.

A month counts what is paid or can still be paid. VideoDB lists when a checkout was made, not when it was paid. So a
paid checkout counts in the month in which it was made. A checkout that can still be paid also counts in the current
month. One that cannot be read always counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, Checkout, CheckoutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class MonthOfPurchases:
    """
    What counts towards the monthly limit.

    :param month: of UTC, such as ``2026-11``.
    :param added_up: the checkouts with a positive amount in USD.
    :param unknown: the checkouts that cannot be added up in USD.
    """

    month: str
    added_up: tuple[Checkout, ...]
    unknown: tuple[Checkout, ...]

    @property
    def total(self) -> Decimal:
        """US dollars of all that is added up."""
        return _sum(self.added_up)

    @property
    def paid(self) -> Decimal:
        """US dollars that are paid."""
        return _sum(checkout for checkout in self.added_up if is_paid(checkout))

    @property
    def payable(self) -> Decimal:
        """US dollars that may still be paid."""
        return _sum(checkout for checkout in self.added_up if not is_paid(checkout))


def month_of_purchases(checkouts: Sequence[Checkout], *, made_at: datetime, now: datetime) -> MonthOfPurchases:
    """
    Add up a month.

    :param checkouts: those of the account.
    :param made_at: a moment in the month.
    :param now: by our clock.
    """
    month = month_of(made_at)
    counted = [checkout for checkout in checkouts if _counts(checkout, month=month, now=now)]
    return MonthOfPurchases(
        month=month,
        added_up=tuple(checkout for checkout in counted if _adds(checkout) and _is_in_usd(checkout)),
        unknown=tuple(checkout for checkout in counted if not _can_be_added_up(checkout)),
    )


def can_still_be_paid(checkout: Checkout, *, now: datetime) -> bool:
    """
    Say whether a checkout may still be paid.

    When in doubt, it may.
    """
    if is_paid(checkout):
        return False
    if checkout.created_at is None or "created_at" in checkout.unreadable:
        return True
    # The list may call a payable checkout expired. We believe it once the checkout is old enough.
    return now - checkout.created_at < CHECKOUT_LIFETIME


def is_paid(checkout: Checkout) -> bool:
    """Say whether VideoDB calls a checkout paid."""
    return _status(checkout) == CheckoutStatus.COMPLETED


def month_of(moment: datetime) -> str:
    """Return the month of UTC: ``2026-11``."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def is_usd(currency: str | None) -> bool:
    """Say whether a currency is the US dollar."""
    return currency is not None and currency.lower() == "usd"


def _counts(checkout: Checkout, *, month: str, now: datetime) -> bool:
    """Say whether a checkout counts; yes when in doubt."""
    if checkout.created_at is None or "created_at" in checkout.unreadable:
        return True
    if can_still_be_paid(checkout, now=now):
        return True
    return month_of(checkout.created_at) == month and _status(checkout) != CheckoutStatus.EXPIRED


def _status(checkout: Checkout) -> str | None:
    return None if "status" in checkout.unreadable else checkout.status


def _can_be_added_up(checkout: Checkout) -> bool:
    return "amount" not in checkout.unreadable and (_is_in_usd(checkout) or not _adds(checkout))


def _adds(checkout: Checkout) -> bool:
    """
    Say whether an amount is above zero.

    A subscription lists no amount. A negative amount must not make room for more.
    """
    return checkout.amount is not None and checkout.amount > 0


def _is_in_usd(checkout: Checkout) -> bool:
    return "currency" not in checkout.unreadable and is_usd(checkout.currency)


def _sum(checkouts: Iterable[Checkout]) -> Decimal:
    return sum((checkout.amount for checkout in checkouts if checkout.amount is not None), Decimal(0))
