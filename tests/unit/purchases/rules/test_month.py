"""What a month of purchases adds up to. The monthly limit's tests show what counts."""

from decimal import Decimal

from airflow_provider_videodb.purchases.rules.month import month_of_purchases
from tests.support.limit_checks import NOW, checkout, unreadable


def test_paid_and_payable_make_the_total():
    entries = [checkout("0.1", "completed"), checkout("0.2"), checkout(None), checkout(3, currency="eur")]
    month = month_of_purchases(entries, made_at=NOW, now=NOW)
    assert (month.paid, month.payable, month.total) == (Decimal("0.1"), Decimal("0.2"), Decimal("0.3"))
    assert month.unknown == (entries[3],)


def test_unreadable_state_is_not_paid():
    month = month_of_purchases([unreadable("status", amount=5)], made_at=NOW, now=NOW)
    assert (month.paid, month.payable) == (0, 5)
