"""An error of a wait that ran out says what is missing and what to do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.api.models import Usage
from airflow_provider_videodb.operators._timeouts import (
    kept_by_others_error,
    not_filled_error,
    not_shown_error,
    payment_timeout_error,
)
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from tests.support.records import purchase_of

PURCHASE = Purchase.from_dict(purchase_of("cs_1"))
USAGE = Usage(credit_balance=Decimal("3.5"), usage_this_month=Decimal(0), breakdown={})
ERRORS = {
    "payment timeout": payment_timeout_error(PURCHASE, payment_timeout=86400),
    "not filled": not_filled_error(USAGE, Decimal(53), payment_timeout=5400),
    "not filled because of others": not_filled_error(USAGE, Decimal(53), payment_timeout=5400, reason="Waiting: held."),
    "kept by others": kept_by_others_error(None, "Waiting: held.", payment_timeout=60),
    "kept by others, paid": kept_by_others_error(PURCHASE.marked_paid(["cs_1"]), "Waiting: held.", payment_timeout=60),
    "not shown": not_shown_error(PURCHASE.marked_paid(["cs_1"]), USAGE, Decimal(53), settle_timeout=0.2),
}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("payment timeout", ["Nobody paid checkout cs_1 for 50 USD within 24 h (payment_timeout)."]),
        ("not filled", ["The balance is 3.5 of 53 credits after 1 h 30 min (payment_timeout). Nothing was bought."]),
        ("not filled because of others", ["(payment_timeout). Waiting: held. Nothing was bought."]),
        (
            "kept by others",
            ["within 1 min (payment_timeout). Waiting: held. Nothing was bought.", "videodb holds list"],
        ),
        ("kept by others, paid", ["This task's 50 USD are paid, and a retry buys nothing more."]),
        ("not shown", ["3.5 of 53 credits, more than 0.2 s (settle_timeout)", "payment of 50 USD", "new DAG run"]),
    ],
)
def test_timeout_names_value_rule_and_next_step(name: str, facts: list[str]) -> None:
    text = str(ERRORS[name])
    assert all(fact in text for fact in facts)
    assert text.count("Next step: ") == 1


def test_payment_timeout_shows_the_link_on_its_own_line() -> None:
    assert str(ERRORS["payment timeout"]).splitlines()[-1] == PURCHASE.payment_url
