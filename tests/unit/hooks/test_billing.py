"""The calls of the billing hook, and the limits of its connection."""

from __future__ import annotations

import asyncio
import numbers
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBLimitExceededError,
)
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from tests.support.stats import kept_metrics


@pytest.fixture
def short_waits(monkeypatch):
    """Make a list that lags a matter of moments."""
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_LAG", timedelta(seconds=0.05))
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.DATE_STEP", timedelta(seconds=0.05))
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_POLL_INTERVAL", timedelta(seconds=0.05))


@pytest.fixture
def limited(emulator, connect):
    """Return what makes a hook on the emulator with limits."""
    return lambda **extra: connect(host=emulator.base_url, extra=extra)


def test_connection_is_read_once_and_client_is_kept(connect, monkeypatch):
    hook = connect()
    client = hook.get_conn()
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
    assert hook.get_conn() is client


def test_timeout_and_retries_reach_the_client(connect):
    sender = connect(extra={"timeout": 7, "max_retries": 1}).get_conn()._transport
    assert (sender.timeout, sender.max_retries) == (7, 1)


def test_client_for_polling_does_not_retry(connect):
    hook = connect(extra={"timeout": 7, "max_retries": 5})
    for client in (hook.get_poll_client(), asyncio.run(hook.aget_poll_client())):
        assert (client._transport.timeout, client._transport.max_retries) == (7, 0)


def test_hook_makes_every_call_of_the_client(emulator):
    hook = VideoDBBillingHook()
    checkout = hook.topup(5, currency="usd", redirect_url="https://app.example/done", idempotency_key="mine")
    hook.create_checkout(6, success_url="https://app.example/done", cancel_url="https://app.example/back")
    hook.create_checkout(mode="subscription", plan_id="pro")
    emulator.pay(checkout.id)
    assert hook.get_usage().credit_balance == 8
    assert {entry.amount for entry in hook.list_checkouts()} >= {5, 6}
    assert len(hook.list_checkouts(limit=1)) == 1
    assert [invoice.amount for invoice in hook.list_invoices(1)] == [5]
    assert hook.set_auto_recharge(enabled=True, threshold="10.5", amount=50.0).threshold == Decimal("10.5")
    assert hook.get_auto_recharge().enabled is True
    assert emulator.calls("POST", "/billing/topup")[0].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("figures", [{"threshold": "many"}, {"threshold": -1}, {"amount": True}, {"amount": "NaN"}])
def test_broken_auto_recharge_argument_is_never_sent(emulator, figures):
    with pytest.raises(VideoDBConfigError, match=next(iter(figures))):
        VideoDBBillingHook().set_auto_recharge(enabled=True, **figures)
    assert emulator.calls() == []


BUY = [
    pytest.param(lambda hook, amount: hook.topup(amount), id="topup"),
    pytest.param(lambda hook, amount: hook.create_checkout(amount), id="payment"),
    pytest.param(
        lambda hook, amount: hook.create_checkout(amount, mode="subscription", plan_id="p"), id="subscription"
    ),
]


@pytest.mark.parametrize("buy", BUY)
def test_purchase_over_the_limit_is_never_sent(emulator, limited, buy):
    hook = limited(max_topup_amount=20)
    buy(hook, 20)
    with pytest.raises(VideoDBLimitExceededError, match=r"connection videodb_default allows for one purchase: 20 USD"):
        buy(hook, 21)
    assert len(emulator.calls("POST")) == 1


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("buy", BUY)
def test_paid_and_payable_checkouts_fill_the_month(emulator, limited, buy):
    hook = limited(monthly_topup_limit=100)
    emulator.pay(hook.topup(60).id)
    hook.topup(30)
    emulator.expire(hook.topup(10).id)
    with pytest.raises(VideoDBLimitExceededError, match=r"\(monthly_topup_limit\). 90 USD in 2 checkouts count"):
        buy(hook, 11)
    assert len(emulator.checkouts()) == 3
    buy(hook, 10)
    assert len(emulator.checkouts()) == 4


@pytest.mark.usefixtures("short_waits")
def test_month_begins_empty(emulator, limited):
    hook = limited(monthly_topup_limit=100)
    emulator.pay(hook.topup(100).id)
    with pytest.raises(VideoDBLimitExceededError):
        hook.topup(1)
    next_month = datetime.now(UTC).replace(day=1) + timedelta(days=32)

    class LaterDatetime(datetime):
        @classmethod
        def now(cls, tz=None):
            return next_month.astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_videodb.hooks.limited_client.datetime", LaterDatetime)
        emulator.advance((next_month - datetime.now(UTC)).total_seconds())
        hook.topup(100)
    assert len(emulator.checkouts()) == 2


def test_limit_of_zero_allows_nothing(emulator, limited):
    with pytest.raises(VideoDBLimitExceededError):
        limited(max_topup_amount=0).topup(1)
    assert emulator.calls() == []


def test_unreadable_month_allows_nothing(emulator, limited):
    emulator.add_fault("html", path="/billing/checkouts", times=None)
    with pytest.raises(Exception, match="not a JSON object"):
        limited(monthly_topup_limit=100).topup(1)
    assert emulator.calls("POST") == []


@numbers.Integral.register
class Int64:
    """An integer of another library, as NumPy registers its own."""

    def __int__(self):
        return 5


@pytest.mark.parametrize("amount", [Int64(), 5.0, Decimal(5), "5"], ids=["Int64", "float", "Decimal", "str"])
@pytest.mark.parametrize("extra", [{}, {"max_topup_amount": 5}], ids=str)
@pytest.mark.parametrize("buy", BUY[:2])
def test_amount_is_read_as_that_of_a_task(emulator, limited, buy, extra, amount):
    buy(limited(**extra), amount)
    assert [checkout.amount for checkout in emulator.checkouts()] == [5]


@pytest.mark.parametrize("amount", ["five", 5.5, True, 0, None])
def test_impossible_amount_is_named_before_any_limit(emulator, limited, amount):
    with pytest.raises(VideoDBConfigError, match="amount is"):
        limited(max_topup_amount=20, monthly_topup_limit=20).topup(amount)
    assert emulator.calls() == []


def test_balance_that_was_read_is_reported(emulator, monkeypatch):
    with kept_metrics(monkeypatch) as sent:
        VideoDBBillingHook().get_usage()
        assert sent.all() == {("videodb.balance", "videodb_default"): 3}


def test_balance_that_was_not_read_is_not_reported(emulator, monkeypatch):
    emulator.add_fault("status", times=None, status=401, body='{"success": false}')
    with kept_metrics(monkeypatch) as sent:
        with pytest.raises(VideoDBAuthenticationError):
            VideoDBBillingHook().get_usage()
        assert sent.all() == {}
