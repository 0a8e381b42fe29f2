from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pendulum
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
        ("completed", "2024-02-29T23:59:59.999999Z", True),
        ("completed", "2024-03-01T00:00:00Z", False),
    ],
)
def test_what_is_paid_or_payable_counts_in_its_month_of_utc(status, created_at, counts):
    checkouts = [checkout(1, status, created_at)]
    if not counts:
        check(50, checkouts, monthly_topup_limit=Decimal(50))
        return
    with pytest.raises(VideoDBLimitExceededError, match="1 checkouts over 1 USD"):
        check(50, checkouts, monthly_topup_limit=Decimal(50))


@pytest.fixture
def in_tokyo(monkeypatch):
    with pendulum.test_local_timezone(pendulum.timezone("Asia/Tokyo")), monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_the_month_is_that_of_utc_wherever_the_worker_is():
    in_march_by_utc = datetime(2024, 2, 29, 20, tzinfo=timezone(timedelta(hours=-8)))
    february = [checkout(100, "completed", "2024-02-10T00:00:00Z")]
    check(50, february, now=in_march_by_utc, monthly_topup_limit=Decimal(50))


def test_purchases_add_up_exactly():
    three = [checkout(amount, "completed", f"2024-02-0{day}") for day, amount in ((1, "0.1"), (2, "0.2"), (3, "0.7"))]
    check(49, three, monthly_topup_limit=Decimal(50))
    with pytest.raises(VideoDBLimitExceededError):
        check(50, three, monthly_topup_limit=Decimal("50.99"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            {"max_topup_amount": Decimal(49)},
            (
                "A top-up of 50 USD is over max_topup_amount, which allows 49 USD in one purchase. Nothing was bought. "
                "Whoever owns the connection can raise it in the connection's extra."
            ),
        ),
        (
            {"max_amount": 49},
            (
                "A top-up of 50 USD is over max_amount, which allows 49 USD in one purchase. Nothing was bought. The "
                "author of the DAG can raise it in the task's arguments."
            ),
        ),
        (
            {"monthly_topup_limit": Decimal(60)},
            (
                "A top-up of 50 USD is over monthly_topup_limit, which allows 60 USD in 2024-02 (UTC): 2 checkouts "
                "over 12.5 USD, paid or still payable, count already. Nothing was bought. Whoever owns the connection "
                "can raise it in the connection's extra."
            ),
        ),
    ],
)
def test_a_refusal_names_the_value_the_rule_and_the_next_step(limits, message):
    counted = [checkout(5, "pending", "2024-02-01"), checkout("7.5", "completed", "2024-02-02")]
    with pytest.raises(VideoDBLimitExceededError) as caught:
        check(50, counted, **limits)
    assert str(caught.value) == message


def test_what_has_no_amount_or_no_date_of_its_own_adds_nothing():
    without_amount = replace(checkout(100, "pending", "2024-02-10"), amount=None)
    without_date = replace(checkout(100, "pending", "2024-02-10"), created_at=None)
    check(50, [without_amount, without_date], monthly_topup_limit=Decimal(50))
    with pytest.raises(VideoDBLimitExceededError, match="1 checkouts over 0 USD"):
        check(51, [without_amount, without_date], monthly_topup_limit=Decimal(50))


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize(("created_at", "counts"), [("2024-02-29T22:00:00Z", True), ("2024-01-31T22:00:00Z", False)])
def test_what_the_worker_calls_another_month_counts_by_utc(created_at, counts):
    check(49 if counts else 50, [checkout(1, "completed", created_at)], monthly_topup_limit=Decimal(50))
    if counts:
        with pytest.raises(VideoDBLimitExceededError):
            check(50, [checkout(1, "completed", created_at)], monthly_topup_limit=Decimal(50))


@pytest.mark.usefixtures("in_tokyo")
def test_the_message_names_the_month_of_utc():
    in_february_by_utc = datetime(2024, 3, 1, 8, tzinfo=timezone(timedelta(hours=9)))
    in_march_by_utc = datetime(2024, 2, 29, 20, tzinfo=timezone(timedelta(hours=-8)))
    for now, month in ((in_february_by_utc, "2024-02"), (in_march_by_utc, "2024-03")):
        with pytest.raises(VideoDBLimitExceededError, match=rf"in {month} \(UTC\)"):
            check(50, now=now, monthly_topup_limit=Decimal(49))
