"""Listed entries of one afternoon, and checks of a purchase against them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airflow_provider_videodb.api.models import Checkout
from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.limits import SpendLimits, check_limits

NOW = datetime(2024, 2, 15, 12, tzinfo=UTC)
FIRST_MINUTE = datetime(2024, 2, 1, 0, 1, tzinfo=UTC)
TODAY = "2024-02-15T11:00:00Z"
ALL_LIMITS = (
    {"max_topup_amount": Decimal(1000)},
    {"max_amount": 1000},
    {"monthly_topup_limit": Decimal(1000)},
    {"max_topup_amount": Decimal(0)},
    {"monthly_topup_limit": Decimal(0)},
)


def checkout(amount=1, status="pending", created_at=TODAY, *, currency="usd", checkout_id=None):
    entry = {"id": checkout_id or f"cs_{created_at}", "amount": amount, "currency": currency, "status": status}
    return Checkout.from_list(entry | {"created_at": created_at})


def unreadable(field, **fields):
    """Return an entry of the list in which one field could not be read."""
    empty = {"status": ""} if field == "status" else {field: None}
    return replace(checkout(**fields), **empty, unreadable=(field,))


def check(amount, checkouts=(), now=NOW, *, currency=None, **limits):
    check_limits(amount, SpendLimits(**limits), checkouts=checkouts, now=now, currency=currency)


def refusal(amount, checkouts=(), now=NOW, *, currency=None, **limits):
    with pytest.raises(VideoDBLimitExceededError) as caught:
        check(amount, checkouts, now, currency=currency, **limits)
    assert "Nothing was bought." in str(caught.value)
    assert str(caught.value).count("Next step: ") == 1
    return str(caught.value)
