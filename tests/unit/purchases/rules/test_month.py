"""What a month of purchases adds up to. The monthly limit's tests show what counts."""

from datetime import timedelta
from decimal import Decimal

import pytest

from airflow_provider_videodb.purchases.rules.month import can_still_be_paid, month_of_purchases
from tests.support.limit_checks import NOW, checkout, unreadable


def test_paid_and_payable_make_the_total():
    entries = [checkout("0.1", "completed"), checkout("0.2"), checkout(None), checkout(3, currency="eur")]
    month = month_of_purchases(entries, made_at=NOW, now=NOW)
    assert (month.paid, month.payable, month.total) == (Decimal("0.1"), Decimal("0.2"), Decimal("0.3"))
    assert month.unknown == (entries[3],)


def test_unreadable_state_is_not_paid():
    month = month_of_purchases([unreadable("status", amount=5)], made_at=NOW, now=NOW)
    assert (month.paid, month.payable) == (0, 5)


@pytest.mark.parametrize(
    ("entry", "hours", "can_be"),
    [
        (checkout(), 0, True),
        (checkout(), 22.9, True),
        (checkout(), 23, False),
        (checkout(status="completed"), 0, False),
        # VideoDB's list may call a payable checkout expired.
        (checkout(status="expired"), 0, True),
        (checkout(created_at=None), 9999, True),
        (unreadable("created_at"), 9999, True),
    ],
)
def test_checkout_can_be_paid_for_a_day_and_when_in_doubt(entry, hours, can_be):
    assert can_still_be_paid(entry, now=NOW + timedelta(hours=hours)) is can_be
