"""The ledger adds credits once and takes them exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_videodb.emulator.account.clock import Clock
from airflow_provider_videodb.emulator.account.ledger import Ledger
from airflow_provider_videodb.emulator.account.records import Order
from airflow_provider_videodb.emulator.errors import (
    CheckoutClosedError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidValueError,
    NotFoundError,
)
from airflow_provider_videodb.emulator.settings import Settings

NOON = datetime(2026, 5, 31, 12, tzinfo=UTC)
FIFTY = Order(kind="topup", amount=50)


@pytest.fixture
def clock():
    return Clock(wall=NOON.timestamp)


@pytest.fixture
def open_ledger(clock):
    return lambda **settings: Ledger(clock.now, Settings.create({"credits": 10, **settings}))


def test_repeated_payment_adds_credits_once(open_ledger):
    ledger = open_ledger(credits_per_dollar="1.5")
    checkout = ledger.open_checkout(FIFTY)
    assert ledger.balance() == 10
    assert [ledger.pay(checkout.id).status for _ in range(3)] == ["completed"] * 3
    assert ledger.balance() == 85
    assert [(i.amount, i.status) for i in ledger.invoices()] == [(50, "paid")]


def test_checkout_expires_on_time_and_cannot_be_paid(open_ledger, clock):
    ledger = open_ledger(checkout_ttl=60)
    checkout = ledger.open_checkout(FIFTY)
    clock.advance("59.9")
    assert ledger.checkout(checkout.id).status == "pending"
    clock.advance("0.1")
    assert ledger.checkout(checkout.id).status == "expired"
    with pytest.raises(CheckoutClosedError):
        ledger.pay(checkout.id)
    assert ledger.balance() == 10
    assert ledger.invoices() == []


def test_paid_checkout_cannot_expire(open_ledger):
    ledger = open_ledger()
    paid, unpaid = ledger.open_checkout(FIFTY), ledger.open_checkout(FIFTY)
    ledger.pay(paid.id)
    with pytest.raises(CheckoutClosedError):
        ledger.expire(paid.id)
    assert ledger.expire(unpaid.id).status == ledger.expire(unpaid.id).status == "expired"


@pytest.mark.parametrize("ttl", [60, 86400])
def test_expired_checkout_has_the_age_of_its_ttl(open_ledger, clock, ttl):
    ledger = open_ledger(checkout_ttl=ttl)
    left, made = ledger.open_checkout(FIFTY), ledger.open_checkout(FIFTY)
    clock.advance(10)
    expired = ledger.expire(made.id)
    assert (expired.created_at, expired.expires_at) == (clock.now() - timedelta(seconds=ttl), clock.now())
    clock.advance(5)
    assert ledger.expire(made.id) == ledger.checkout(made.id) == expired
    assert ledger.checkout(left.id) == left


def test_unknown_checkout_is_refused(open_ledger):
    with pytest.raises(NotFoundError):
        open_ledger().pay("cs_test_nobody")


def test_charges_are_exact(open_ledger):
    ledger = open_ledger(credits="0.3")
    for _ in range(3):
        ledger.charge(Decimal("0.1"), "index")
    assert ledger.balance() == 0


def test_charge_above_the_balance_takes_nothing(open_ledger):
    ledger = open_ledger()
    with pytest.raises(InsufficientCreditsError, match=r"index needs 10\.01, the credit balance is 10"):
        ledger.charge(Decimal("10.01"), "index")
    assert ledger.usage().credit_balance == 10
    assert ledger.usage().breakdown == {}


def test_usage_counts_the_calendar_month_by_operation(open_ledger, clock):
    ledger = open_ledger()
    ledger.charge(Decimal(1), "upload")
    ledger.charge(Decimal(2), "index")
    ledger.charge(Decimal("0.5"), "index")
    ledger.set_balance(Decimal(4))
    assert ledger.usage().usage_this_month == Decimal("3.5")
    assert ledger.usage().breakdown == {"upload": 1, "index": Decimal("2.5")}
    clock.advance(86400)  # the first of June
    assert ledger.usage().usage_this_month == 0
    assert ledger.usage().credit_balance == 4


def test_usage_is_that_of_lag_seconds_ago(open_ledger, clock):
    ledger = open_ledger(usage_lag=300)
    ledger.charge(Decimal(4), "index")
    ledger.pay(ledger.open_checkout(FIFTY).id)
    assert (ledger.balance(), ledger.usage().credit_balance) == (56, 10)
    clock.advance(299)
    assert ledger.usage().usage_this_month == 0
    clock.advance(1)
    assert (ledger.usage().credit_balance, ledger.usage().usage_this_month) == (56, 4)


def test_checkout_appears_in_the_list_after_its_lag(open_ledger, clock):
    ledger = open_ledger(list_lag=30)
    checkout = ledger.open_checkout(FIFTY)
    assert ledger.listed_checkouts() == []
    ledger.pay(checkout.id)
    clock.advance(30)
    assert [(c.id, c.status) for c in ledger.listed_checkouts()] == [(checkout.id, "completed")]


def test_lists_are_newest_first(open_ledger):
    ledger = open_ledger()
    made = [ledger.open_checkout(FIFTY).id for _ in range(3)]
    for checkout_id in made:
        ledger.pay(checkout_id)
    assert [c.id for c in ledger.checkouts()] == made[::-1]
    assert [i.reason for i in ledger.invoices()] == made[::-1]


def test_auto_recharge_follows_a_charge_below_its_threshold(open_ledger):
    ledger = open_ledger(credits_per_dollar=2)
    ledger.set_auto_recharge(enabled=True, threshold=Decimal(5), amount=Decimal(20))
    ledger.charge(Decimal(5), "index")
    assert ledger.balance() == 5, "at the threshold is not below it"
    ledger.charge(Decimal(1), "index")
    assert ledger.balance() == 24
    assert [(i.amount, i.reason) for i in ledger.invoices()] == [(10, "auto-recharge")]


@pytest.mark.parametrize(
    ("settings", "enabled"), [({"stored_card": False}, True), ({"stored_card": True}, False)], ids=["no card", "off"]
)
def test_auto_recharge_needs_a_card_and_enabled(open_ledger, settings, enabled):
    ledger = open_ledger(**settings)
    ledger.set_auto_recharge(enabled=enabled, threshold=Decimal(5), amount=Decimal(20))
    ledger.charge(Decimal(9), "index")
    assert ledger.balance() == 1
    assert ledger.invoices() == []


def test_disabled_auto_recharge_keeps_its_amounts(open_ledger):
    ledger = open_ledger()
    with pytest.raises(InvalidValueError):
        ledger.set_auto_recharge(enabled=True, amount=Decimal(20))
    assert not ledger.auto_recharge().enabled
    ledger.set_auto_recharge(enabled=True, threshold=Decimal(5), amount=Decimal(20))
    off = ledger.set_auto_recharge(enabled=False)
    assert (off.enabled, off.threshold, off.amount) == (False, 5, 20)
    assert ledger.set_auto_recharge(enabled=True).threshold == 5


def test_pay_after_pays_at_its_time(open_ledger, clock):
    ledger = open_ledger(pay_after=20, usage_lag=100)
    checkout = ledger.open_checkout(FIFTY)
    clock.advance(19)
    assert ledger.balance() == 10
    clock.advance(3600)
    paid = ledger.checkout(checkout.id)
    assert (paid.status, paid.paid_at) == ("completed", NOON + timedelta(seconds=20))
    assert ledger.balance() == ledger.usage().credit_balance == 60


def test_pay_after_pays_nothing_after_the_expiry(open_ledger, clock):
    ledger = open_ledger(pay_after=60, checkout_ttl=60)
    checkout = ledger.open_checkout(FIFTY)
    clock.advance(120)
    assert ledger.checkout(checkout.id).status == "expired"
    assert ledger.balance() == 10


def test_stored_card_is_charged_at_once_if_set(open_ledger):
    ledger = open_ledger(charge_stored_card=True)
    assert ledger.open_checkout(FIFTY).status == "completed"
    assert ledger.balance() == 60
    assert ledger.open_checkout(Order(kind="checkout", amount=5)).status == "pending"
    assert open_ledger(charge_stored_card=True, stored_card=False).open_checkout(FIFTY).status == "pending"


def test_idempotency_key_is_honoured_or_ignored(open_ledger):
    honouring, ignoring = open_ledger(idempotency="honour"), open_ledger()
    first = honouring.open_checkout(FIFTY, "key")
    assert honouring.open_checkout(FIFTY, "key") == first
    assert honouring.open_checkout(FIFTY, "other").id != first.id
    assert honouring.open_checkout(FIFTY).id != first.id
    with pytest.raises(IdempotencyConflictError):
        honouring.open_checkout(Order(kind="topup", amount=51), "key")
    assert len(honouring.checkouts()) == 3
    assert ignoring.open_checkout(FIFTY, "key").id != ignoring.open_checkout(FIFTY, "key").id
