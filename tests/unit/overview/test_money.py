"""What the month has cost, what may still be bought, and what can be paid."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api.models import Usage
from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.overview.money import (
    listed_checkouts,
    month_to_dict,
    open_checkouts,
    spending_of,
    usage_to_dict,
)
from airflow_provider_videodb.purchases.rules.limits import SpendLimits, check_limits
from tests.support.limit_checks import FIRST_MINUTE, NOW, TODAY, checkout, unreadable

EARLIER = "2024-02-03T00:00:00Z"
LAST_MONTH = "2024-01-31T23:59:59Z"


def spending(*checkouts, now=NOW, **limits):
    return spending_of(checkouts, SpendLimits(**limits), now=now).to_dict()


def test_month_is_split_into_paid_and_payable():
    found = spending(
        checkout(50, "completed", EARLIER),
        checkout("20.5", "pending"),
        checkout(7, "expired", EARLIER),
        checkout(9, "completed", LAST_MONTH),
    )
    assert (found["month"], found["checkouts"]) == ("2024-02", 2)
    assert (found["paid_usd"], found["payable_usd"], found["total_usd"]) == (50, 20.5, 70.5)


def test_link_of_last_month_counts_while_it_can_be_paid():
    assert spending(checkout(9, "pending", LAST_MONTH), now=FIRST_MINUTE)["payable_usd"] == 9


def test_without_limits_nothing_is_left_to_tell():
    found = spending(checkout(50, "completed"))
    unset = ("monthly_topup_limit", "left_usd", "max_topup_amount", "largest_purchase_usd")
    assert {found[name] for name in unset} == {None}


@pytest.mark.parametrize(
    ("limits", "left", "largest"),
    [
        ({"monthly_topup_limit": Decimal(100)}, 30, 30),
        ({"monthly_topup_limit": Decimal("100.5")}, 30.5, 30),
        ({"monthly_topup_limit": Decimal(60)}, 0, 0),
        ({"max_topup_amount": Decimal(25)}, None, 25),
        ({"monthly_topup_limit": Decimal(100), "max_topup_amount": Decimal(25)}, 30, 25),
        ({"monthly_topup_limit": Decimal(90), "max_topup_amount": Decimal(25)}, 20, 20),
    ],
)
def test_tightest_limit_says_what_may_be_bought(limits, left, largest):
    found = spending(checkout(50, "completed"), checkout(20), **limits)
    assert (found["left_usd"], found["largest_purchase_usd"]) == (left, largest)


def test_checkout_that_cannot_be_added_up_leaves_nothing_to_buy():
    found = spending(unreadable("amount", checkout_id="cs_odd"), monthly_topup_limit=Decimal(100))
    assert (found["left_usd"], found["largest_purchase_usd"]) == (None, 0)
    assert found["unknown_checkouts"] == ["cs_odd"]


ENTRIES = st.builds(
    checkout,
    st.sampled_from([None, 0, -5, 1, "19.99", 50]),
    st.sampled_from(["pending", "completed", "expired", "processing"]),
    st.sampled_from([TODAY, EARLIER, LAST_MONTH, "2024-02-14T12:00:01Z"]),
    currency=st.sampled_from(["usd", "USD", "eur"]),
)
LIMITS = st.none() | st.sampled_from(["0", "19", "50", "70.5", "200"]).map(Decimal)


@given(st.lists(ENTRIES | st.just(unreadable("amount")), max_size=4), LIMITS, LIMITS)
def test_largest_purchase_is_what_the_limits_accept(checkouts, monthly, each):
    limits = SpendLimits(monthly_topup_limit=monthly, max_topup_amount=each)
    largest = spending_of(checkouts, limits, now=NOW).largest

    def accepted(amount):
        try:
            check_limits(amount, limits, checkouts=checkouts, now=NOW)
        except VideoDBLimitExceededError:
            return False
        return True

    if largest is None:
        assert accepted(10**9)
    else:
        assert not accepted(largest + 1)
        assert largest == 0 or accepted(largest)


@pytest.mark.parametrize(
    ("entry", "is_open"),
    [
        (checkout(5), True),
        (checkout(5, "completed"), False),
        (checkout(5, "expired"), True),
        (checkout(5, "expired", EARLIER), False),
        (checkout(5, "pending", EARLIER), False),
        (checkout(5, "a new word"), True),
        (unreadable("status"), True),
        (unreadable("created_at"), True),
        (unreadable("created_at", status="completed"), False),
    ],
    ids=str,
)
def test_checkout_is_open_until_nobody_can_pay_it(entry, is_open):
    assert bool(open_checkouts([entry], now=NOW)) is is_open


def test_open_checkout_expires_a_day_after_it_was_made():
    (found,) = open_checkouts([checkout(5, checkout_id="cs_1")], now=NOW)
    assert found.to_dict() == {
        "id": "cs_1",
        "amount": 5,
        "currency": "USD",
        "status": "pending",
        "payable": True,
        "created_at": "2024-02-15T11:00:00Z",
        "expires_at": "2024-02-16T11:00:00Z",
    }


@pytest.mark.parametrize(
    "entry", [unreadable("created_at"), checkout(5, "completed"), checkout(5, "pending", "9999-12-31T12:00:00Z")]
)
def test_checkout_without_an_end_says_none(entry):
    (found,) = listed_checkouts([entry], now=NOW)
    assert found.to_dict()["expires_at"] is None


@pytest.mark.parametrize("currency", ["sk-", "skkey", "äöü", "", None])
def test_words_of_a_server_are_not_repeated(currency):
    entry = replace(checkout(5, "sk-key\x1b[2J"), currency=currency)
    (found,) = listed_checkouts([entry], now=NOW)
    assert (found.status, found.currency) == ("unknown", None)


def test_usage_is_listed_by_kind_with_the_largest_first():
    usage = Usage.from_api(
        {"credit_balance": 12, "usage_this_month": "9.5", "breakdown": {"b": 1, "upload": 7.5, "a": 1}}
    )
    assert usage_to_dict(usage) == {
        "used_credits": 9.5,
        "by_kind": [
            {"kind": "upload", "credits": 7.5},
            {"kind": "a", "credits": 1},
            {"kind": "b", "credits": 1},
        ],
    }


def test_month_has_every_part_as_json():
    usage = Usage.from_api({"credit_balance": "12.5", "usage_this_month": 0})
    checkouts = [checkout(5), checkout(5, "completed", EARLIER)]
    found = month_to_dict(usage=usage, checkouts=checkouts, limits=SpendLimits(), now=NOW + timedelta(microseconds=1))
    assert json.loads(json.dumps(found)) == found
    assert (found["at"], found["credit_balance"], len(found["open_checkouts"])) == ("2024-02-15T12:00:00Z", 12.5, 1)
    assert found["purchases"]["paid_usd"] == 5
