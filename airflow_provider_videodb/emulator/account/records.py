"""What the ledger keeps: frozen, so that a record handed to another thread cannot change under it."""

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
    """One movement of credits. The credit balance is the sum of all entries and is stored nowhere else."""

    at: datetime
    credits: Decimal
    kind: EntryKind
    operation: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants to buy: `amount` whole dollars, and where the browser goes afterwards."""

    kind: Literal["topup", "checkout"]
    amount: int
    currency: str = "usd"
    mode: Literal["payment", "subscription"] = "payment"
    plan_id: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """An order with a link to pay it. `credits` is what paying adds."""

    id: str
    order: Order
    credits: Decimal
    created_at: datetime
    expires_at: datetime
    status: CheckoutStatus = "pending"
    paid_at: datetime | None = None

    @property
    def amount(self) -> int:
        """Whole dollars."""
        return self.order.amount


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """A bill that was paid: `amount` in dollars."""

    id: str
    amount: Decimal
    currency: str
    created_at: datetime
    reason: str
    status: Literal["paid"] = "paid"


@dataclass(frozen=True, kw_only=True)
class AutoRecharge:
    """`threshold` and `amount` are credits, as VideoDB's reference has it; 0 means never set."""

    enabled: bool = False
    threshold: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class UsageFigures:
    """Credits: what is left, what was used in the calendar month (UTC), and by which operation."""

    credit_balance: Decimal
    usage_this_month: Decimal
    breakdown: dict[str, Decimal]
