"""Describes purchases and usage, for display. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, CheckoutStatus
from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.overview.text import to_iso_moment
from airflow_provider_videodb.purchases.rules.limits import largest_purchase
from airflow_provider_videodb.purchases.rules.month import can_still_be_paid, month_of_purchases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_provider_videodb.api.models import Checkout, Usage
    from airflow_provider_videodb.purchases.rules.limits import SpendLimits
    from airflow_provider_videodb.purchases.rules.month import MonthOfPurchases

_CURRENCY_LENGTH = 3
_STATES = frozenset(CheckoutStatus)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """
    What the month costs, in US dollars.

    :param month: what counts, by the rule of the monthly limit.
    :param limits: of the connection.
    :param largest: the most that one purchase may cost now; ``None`` without a limit.
    """

    month: MonthOfPurchases
    limits: SpendLimits
    largest: int | None

    @property
    def left(self) -> Decimal | None:
        """What the monthly limit leaves; ``None`` without a figure."""
        limit = self.limits.monthly_topup_limit
        if limit is None or self.month.unknown:
            return None
        return max(Decimal(0), limit - self.month.total)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for programs."""
        return {
            "month": self.month.month,
            "paid_usd": to_json_number(self.month.paid),
            "payable_usd": to_json_number(self.month.payable),
            "total_usd": to_json_number(self.month.total),
            "checkouts": len(self.month.added_up),
            "unknown_checkouts": [checkout.id for checkout in self.month.unknown],
            "monthly_topup_limit": _number(self.limits.monthly_topup_limit),
            "left_usd": _number(self.left),
            "max_topup_amount": _number(self.limits.max_topup_amount),
            "largest_purchase_usd": self.largest,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedCheckout:
    """
    A checkout of VideoDB's list.

    :param is_payable: whether a person may still pay it; true when in doubt.
    """

    checkout: Checkout
    is_payable: bool

    @property
    def expires_at(self) -> datetime | None:
        """When it expires; ``None`` if unknown or not payable."""
        made = self.checkout.created_at
        if made is None or not self.is_payable:
            return None
        try:
            return made + CHECKOUT_LIFETIME
        except OverflowError:
            return None

    @property
    def status(self) -> str:
        """VideoDB's word; ``unknown`` if it is undocumented."""
        return str(self.checkout.status) if self.checkout.status in _STATES else "unknown"

    @property
    def currency(self) -> str | None:
        """The currency in capitals; ``None`` for other text."""
        currency = self.checkout.currency or ""
        is_code = len(currency) == _CURRENCY_LENGTH and currency.isascii() and currency.isalpha()
        return currency.upper() if is_code else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for programs."""
        return {
            "id": self.checkout.id,
            "amount": _number(self.checkout.amount),
            "currency": self.currency,
            "status": self.status,
            "payable": self.is_payable,
            "created_at": to_iso_moment(self.checkout.created_at),
            "expires_at": to_iso_moment(self.expires_at),
        }


def month_to_dict(*, usage: Usage, checkouts: Sequence[Checkout], limits: SpendLimits, now: datetime) -> dict[str, Any]:
    """
    Return the JSON of the month's usage and purchases.

    :param checkouts: all of the account.
    :param limits: of the connection.
    :param now: by our clock.
    """
    return {
        "at": to_iso_moment(now),
        "credit_balance": to_json_number(usage.credit_balance),
        "usage": usage_to_dict(usage),
        "purchases": spending_of(checkouts, limits, now=now).to_dict(),
        "open_checkouts": [one.to_dict() for one in open_checkouts(checkouts, now=now)],
    }


def spending_of(checkouts: Sequence[Checkout], limits: SpendLimits, *, now: datetime) -> Spending:
    """
    Add up the current month.

    :param checkouts: all of the account.
    :param limits: of the connection.
    :param now: by our clock.
    """
    return Spending(
        month=month_of_purchases(checkouts, made_at=now, now=now),
        limits=limits,
        largest=largest_purchase(limits, checkouts=checkouts, now=now),
    )


def listed_checkouts(checkouts: Sequence[Checkout], *, now: datetime) -> tuple[ListedCheckout, ...]:
    """Mark the checkouts that can still be paid."""
    return tuple(ListedCheckout(checkout=one, is_payable=can_still_be_paid(one, now=now)) for one in checkouts)


def open_checkouts(checkouts: Sequence[Checkout], *, now: datetime) -> tuple[ListedCheckout, ...]:
    """Return the checkouts that can still be paid."""
    return tuple(one for one in listed_checkouts(checkouts, now=now) if one.is_payable)


def usage_to_dict(usage: Usage) -> dict[str, Any]:
    """
    Return the JSON of a month's usage in credits.

    The largest kind comes first.
    """
    by_kind = sorted(usage.breakdown.items(), key=lambda item: (-item[1], item[0]))
    return {
        "used_credits": to_json_number(usage.usage_this_month),
        "by_kind": [{"kind": kind, "credits": to_json_number(credits)} for kind, credits in by_kind],
    }


def _number(figure: Decimal | None) -> int | float | None:
    return None if figure is None else to_json_number(figure)
