"""Purchases and checkouts of one story: fifty dollars were asked for at noon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_provider_videodb.api.models import Checkout, IdSource
from airflow_provider_videodb.purchases.rules.purchase import Purchase

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
#: As long before as a checkout lives.
YESTERDAY = NOON - timedelta(hours=24)
LINK = "https://pay.example/cs_1"


def after(seconds: float = 0) -> datetime:
    """Return the moment so long after noon."""
    return NOON + timedelta(seconds=seconds)


def listed(
    checkout_id: str | None = "cs_1",
    status: str = "pending",
    *,
    amount: int | str | None = 50,
    made_at: datetime | None = NOON,
    unreadable: tuple[str, ...] = (),
) -> Checkout:
    """Return an entry of VideoDB's list."""
    return Checkout(
        id=checkout_id,
        url=None,
        amount=None if amount is None else Decimal(amount),
        currency="usd",
        status=status,
        created_at=made_at,
        id_source=IdSource.LIST,
        unreadable=unreadable,
    )


def expired(checkout_id: str | None = "cs_1", *, made_at: datetime | None = YESTERDAY, amount: int = 50) -> Checkout:
    """Return an entry of VideoDB's list that is called expired and is as old as that takes."""
    return listed(checkout_id, "expired", amount=amount, made_at=made_at)


def responded(checkout_id: str | None = "cs_1", *, url: str = LINK, amount: int = 50) -> Checkout:
    """Return the response to a POST."""
    return Checkout(
        id=checkout_id,
        url=url,
        amount=Decimal(amount),
        currency=None,
        status="pending",
        created_at=None,
        id_source=None if checkout_id is None else IdSource.RESPONSE,
    )


def asked(**fields: Any) -> Purchase:
    """Return a purchase whose POST was sent at noon, without a response."""
    begun = {
        "generation": 0,
        "amount": 50,
        "currency": None,
        "key": "0123456789abcdef-and-more",
        "balance_before": 3,
        "posts": (NOON.isoformat(),),
    }
    return Purchase(**begun | fields)


def made(**fields: Any) -> Purchase:
    """Return a purchase whose response named ``cs_1`` and its link."""
    return asked(**{"checkout_id": "cs_1", "id_source": "response", "payment_url": LINK} | fields)


#: A purchase whose link a person may have seen.
LINK_SHARED = made(link_shared=True)
#: A purchase whose response was a link without an id.
LINK_ALONE = asked(payment_url=LINK)
