"""
The records that the ledger keeps.

They are frozen, so a record in another thread cannot change while that thread reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

CheckoutStatus = Literal["pending", "completed", "expired"]
EntryKind = Literal["opening", "adjustment", "payment", "recharge", "charge"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One movement of credits. The balance is the sum of all entries."""

    at: datetime
    credits: Decimal
    kind: EntryKind
    operation: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A purchase as it was ordered; `amount` is whole dollars."""

    kind: Literal["topup", "checkout"]
    amount: int
    currency: str = "usd"
    mode: Literal["payment", "subscription"] = "payment"
    plan_id: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """An order with a payment link. A payment adds `credits`."""

    id: str
    order: Order
    credits: Decimal
    created_at: datetime
    expires_at: datetime
    status: CheckoutStatus = "pending"
    paid_at: datetime | None = None

    @property
    def amount(self) -> int:
        """The price in whole dollars."""
        return self.order.amount


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """A paid bill; `amount` is dollars."""

    id: str
    amount: Decimal
    currency: str
    created_at: datetime
    reason: str
    status: Literal["paid"] = "paid"


@dataclass(frozen=True, kw_only=True)
class AutoRecharge:
    """The auto-recharge settings, in credits. A 0 was never set."""

    enabled: bool = False
    threshold: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class UsageFigures:
    """The usage of one calendar month (UTC), in credits."""

    credit_balance: Decimal
    usage_this_month: Decimal
    breakdown: dict[str, Decimal]
