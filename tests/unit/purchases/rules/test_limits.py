"""Limits of a purchase, before it is sent."""

from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.limits import (
    SpendLimits,
    check_per_purchase_limits,
    largest_purchase,
)
from tests.support.limit_checks import ALL_LIMITS, NOW, check, checkout, refusal


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
def test_purchase_up_to_the_limit_is_allowed(limits):
    check(50, **limits)


@pytest.mark.parametrize(
    ("limits", "broken", "who"),
    [
        ({"max_topup_amount": Decimal("49.99")}, "49.99 USD (max_topup_amount)", "the owner of the connection"),
        ({"max_topup_amount": Decimal(0)}, "0 USD (max_topup_amount)", "the owner of the connection"),
        ({"max_amount": 49}, "49 USD (max_amount)", "the author of the DAG"),
        ({"max_topup_amount": Decimal(100), "max_amount": 49}, "(max_amount)", "the author of the DAG"),
        ({"max_topup_amount": Decimal(49), "max_amount": 100}, "(max_topup_amount)", "the owner of the connection"),
        ({"monthly_topup_limit": Decimal(49)}, "49 USD (monthly_topup_limit)", "the owner of the connection"),
        ({"monthly_topup_limit": Decimal(0)}, "0 USD (monthly_topup_limit)", "the owner of the connection"),
    ],
)
def test_refusal_names_the_limit_and_who_can_raise_it(limits, broken, who):
    text = refusal(50, **limits)
    assert broken in text
    assert who in text


def test_limits_of_one_purchase_are_checked_without_a_list():
    check_per_purchase_limits(50, SpendLimits(max_amount=50, monthly_topup_limit=Decimal(1)))
    with pytest.raises(VideoDBLimitExceededError):
        check_per_purchase_limits(50, SpendLimits(max_topup_amount=Decimal(49)))


@pytest.mark.parametrize(
    ("amount", "counted_already", "limits", "message"),
    [
        (
            50,
            [],
            {"max_topup_amount": Decimal(49)},
            (
                "50 USD is more than connection videodb_default allows for one purchase: 49 USD (max_topup_amount). "
                "Nothing was bought. Next step: buy less, or ask the owner of the connection to raise max_topup_amount."
            ),
        ),
        (
            50,
            [],
            {"max_amount": 49},
            (
                "50 USD is more than this task allows for one purchase: 49 USD (max_amount). Nothing was bought. "
                "Next step: buy less, or ask the author of the DAG to raise max_amount."
            ),
        ),
        (
            45,
            [checkout(20)],
            {"monthly_topup_limit": Decimal(60)},
            (
                "45 USD more would make 65 USD this month (2024-02, UTC); connection videodb_default allows 60 USD "
                "(monthly_topup_limit). 20 USD in 1 checkout count already. Nothing was bought. Next step: wait for "
                "the next month or until open checkouts have expired (24 hours), or ask the owner of the connection to "
                "raise monthly_topup_limit."
            ),
        ),
    ],
)
def test_refusal_names_value_rule_and_next_step(amount, counted_already, limits, message):
    assert refusal(amount, counted_already, conn_id="videodb_default", **limits) == message


@pytest.mark.parametrize(
    ("entries", "limit", "words"),
    [
        ([], 40, "50 USD this month (2024-02, UTC); the connection allows 40 USD"),
        ([], 40, "40 USD (monthly_topup_limit). No other checkout counts. Nothing was bought."),
        ([checkout(5), checkout("7.50", "completed")], 60, "62.5 USD this month"),
        ([checkout(5), checkout("7.50", "completed")], 60, "12.5 USD in 2 checkouts count already."),
        ([checkout(10)], Decimal("5E+1"), "60 USD this month (2024-02, UTC); the connection allows 50 USD"),
    ],
)
def test_refusal_of_the_month_adds_up(entries, limit, words):
    assert words in refusal(50, entries, monthly_topup_limit=Decimal(limit))


def test_refusal_without_a_connection_id_names_the_connection():
    assert "than the connection allows" in refusal(50, max_topup_amount=Decimal(1))


@pytest.mark.parametrize("limits", ALL_LIMITS, ids=str)
@pytest.mark.parametrize("currency", ["eur", "JPY", "gbp", "", " usd", "usdc", "us"])
def test_other_currency_cannot_be_compared_with_any_limit(limits, currency):
    text = refusal(1, currency=currency, **limits)
    assert "cannot be compared with a limit in USD" in text
    assert "leave currency out, or set it to usd" in text


@pytest.mark.parametrize("currency", [None, "usd", "USD"])
def test_usd_is_compared(currency):
    check(50, currency=currency, max_topup_amount=Decimal(50), monthly_topup_limit=Decimal(50))
    refusal(51, currency=currency, max_topup_amount=Decimal(50))


def test_other_currency_is_allowed_without_a_limit():
    check(5000, currency="jpy")


@pytest.mark.parametrize(
    ("limits", "entries", "most"),
    [
        ({}, [], None),
        ({"max_topup_amount": Decimal("49.99")}, [], 49),
        ({"max_topup_amount": Decimal(60), "max_amount": 50}, [], 50),
        ({"monthly_topup_limit": Decimal(60)}, [checkout("20.5")], 39),
        ({"max_amount": 10, "monthly_topup_limit": Decimal(60)}, [checkout(20)], 10),
        ({"monthly_topup_limit": Decimal(60)}, [checkout(80)], 0),
        # What cannot be added up leaves no room.
        ({"monthly_topup_limit": Decimal(60)}, [checkout(1, currency="eur")], 0),
    ],
)
def test_largest_purchase_is_the_last_that_passes(limits, entries, most):
    assert largest_purchase(SpendLimits(**limits), checkouts=entries, now=NOW) == most
    if most:
        check(most, entries, **limits)
    if most is not None:
        refusal(most + 1, entries, **limits)
