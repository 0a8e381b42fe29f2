from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.limits import SpendLimits, check_limits
from airflow_provider_videodb.models import Checkout

NOW = datetime(2024, 2, 15, 12, tzinfo=UTC)


def checkout(amount, status, created_at):
    return Checkout.from_list(
        {"id": f"cs_{created_at}", "amount": amount, "currency": "usd", "status": status, "created_at": created_at}
    )


def check(amount, checkouts=(), now=NOW, **limits):
    check_limits(amount, SpendLimits(**limits), checkouts=checkouts, now=now)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_topup_amount": Decimal(50)},
        {"max_amount": 50},
        {"monthly_topup_limit": Decimal(50)},
        {"max_topup_amount": Decimal(50), "max_amount": 50, "monthly_topup_limit": Decimal(50)},
    ],
)
def test_a_purchase_up_to_the_limit_is_allowed(limits):
    check(50, **limits)


@pytest.mark.parametrize(
    ("limits", "broken", "who"),
    [
        ({"max_topup_amount": Decimal("49.99")}, "max_topup_amount, which allows 49.99 USD", "owns the connection"),
        ({"max_topup_amount": Decimal(0)}, "max_topup_amount, which allows 0 USD", "owns the connection"),
        ({"max_amount": 49}, "max_amount, which allows 49 USD", "author of the DAG"),
        ({"max_topup_amount": Decimal(100), "max_amount": 49}, "max_amount", "author of the DAG"),
        ({"max_topup_amount": Decimal(49), "max_amount": 100}, "max_topup_amount", "owns the connection"),
        (
            {"monthly_topup_limit": Decimal(49)},
            "monthly_topup_limit, which allows 49 USD in 2024-02",
            "owns the connection",
        ),
    ],
)
def test_a_purchase_over_a_limit_is_refused_by_name_and_by_who_can_change_it(limits, broken, who):
    with pytest.raises(VideoDBLimitExceededError) as caught:
        check(50, **limits)
    assert broken in str(caught.value)
    assert who in str(caught.value)
    assert "Nothing was bought" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "created_at", "counts"),
    [
        ("completed", "2024-02-01T00:00:00Z", True),
        ("pending", "2024-02-14T00:00:00Z", True),
        ("a new word", "2024-02-14T00:00:00Z", True),
        ("expired", "2024-02-14T00:00:00Z", False),
        ("completed", "2024-01-31T23:59:59Z", False),
        ("completed", "2023-02-15T00:00:00Z", False),
        ("completed", "2024-02-01T00:30:00+01:00", False),
        ("completed", "2024-01-31T23:30:00-01:00", True),
    ],
)
def test_what_is_paid_or_payable_counts_in_its_month_of_utc(status, created_at, counts):
    checkouts = [checkout(1, status, created_at)]
    if not counts:
        check(50, checkouts, monthly_topup_limit=Decimal(50))
        return
    with pytest.raises(VideoDBLimitExceededError, match="1 checkouts over 1 USD"):
        check(50, checkouts, monthly_topup_limit=Decimal(50))


def test_the_month_is_that_of_utc_wherever_the_worker_is():
    in_march_by_utc = datetime(2024, 2, 29, 20, tzinfo=timezone(timedelta(hours=-8)))
    february = [checkout(100, "completed", "2024-02-10T00:00:00Z")]
    check(50, february, now=in_march_by_utc, monthly_topup_limit=Decimal(50))


def test_purchases_add_up_exactly():
    three = [checkout(amount, "completed", f"2024-02-0{day}") for day, amount in ((1, "0.1"), (2, "0.2"), (3, "0.7"))]
    check(49, three, monthly_topup_limit=Decimal(50))
    with pytest.raises(VideoDBLimitExceededError):
        check(50, three, monthly_topup_limit=Decimal("50.99"))
