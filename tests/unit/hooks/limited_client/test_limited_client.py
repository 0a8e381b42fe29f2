"""Limits at every door that is not an operator, against the emulator, also when two buy at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import IdSource
from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBLimitExceededError,
    VideoDBOutcomeUnknownError,
)
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.hooks.videodb import unlimited_client

DOORS = {
    "hook.topup": lambda hook, amount: hook.topup(amount),
    "hook.create_checkout": lambda hook, amount: hook.create_checkout(amount),
    "a subscription's": lambda hook, amount: hook.create_checkout(amount, mode="subscription", plan_id="pro"),
    "get_conn().topup": lambda hook, amount: hook.get_conn().topup(amount),
    "get_conn().create_checkout": lambda hook, amount: hook.get_conn().create_checkout(amount),
    "get_poll_client().topup": lambda hook, amount: hook.get_poll_client().topup(amount),
    "aget_poll_client().topup": lambda hook, amount: asyncio.run(hook.aget_poll_client()).topup(amount),
}
every_door = pytest.mark.parametrize("buy", DOORS.values(), ids=DOORS)


@every_door
@pytest.mark.parametrize(
    "extra", [{"max_topup_amount": 49}, {"max_topup_amount": "49.99"}, {"monthly_topup_limit": 49}], ids=str
)
def test_limit_holds_at_every_door(emulator, limited, buy, extra):
    with pytest.raises(VideoDBLimitExceededError, match="videodb_default allows"):
        buy(limited(**extra), 50)
    assert emulator.calls("POST") == []


@every_door
def test_two_buyers_at_once_do_not_both_get_a_link(emulator, limited, monkeypatch, buy):
    """Neither POST is sent before both have passed the first check."""
    limited(monthly_topup_limit=100)
    both_have_passed, ask = threading.Barrier(2, timeout=30), BillingClient._ask_for_checkout

    def asks(self, *arguments):
        both_have_passed.wait()
        return ask(self, *arguments)

    monkeypatch.setattr(BillingClient, "_ask_for_checkout", asks)
    with ThreadPoolExecutor() as pool:
        bought = [pool.submit(buy, VideoDBBillingHook(), 60) for _ in range(2)]
        errors = [future.exception(timeout=60) for future in bought]

    (refused,) = filter(None, errors)
    assert isinstance(refused, VideoDBLimitExceededError)
    first = sorted(emulator.checkouts(), key=lambda made: (made.created_at.replace(microsecond=0), made.id))[0]
    link_shared = next(future.result() for future in bought if not future.exception())
    assert link_shared.id == first.id
    assert "60 USD more would make 120 USD this month" in str(refused)
    assert "its link is withheld. Nobody can pay it, and it expires after 24 hours." in str(refused)
    assert "/pay/" not in str(refused)


def test_many_buyers_at_once_stay_within_the_month(emulator, limited):
    limited(monthly_topup_limit=100)
    ready = threading.Barrier(6)

    def buys(_):
        hook = VideoDBBillingHook()
        hook.get_usage()
        ready.wait()
        try:
            return hook.topup(30)
        except VideoDBLimitExceededError:
            return None

    with ThreadPoolExecutor(6) as pool:
        link_shared = [bought for bought in pool.map(buys, range(6)) if bought]
    assert 1 <= len(link_shared) <= 3
    assert len({bought.id for bought in link_shared}) == len(link_shared)


@every_door
def test_list_is_not_read_without_a_monthly_limit(emulator, limited, buy):
    buy(limited(max_topup_amount=50), 50)
    assert [call.method for call in emulator.calls()] == ["POST"]


def test_purchase_within_the_month_returns_the_checkout(emulator, limited):
    emulator.change_settings(dialect="sample")
    checkout = limited(monthly_topup_limit=50).topup(50, currency="USD", redirect_url="https://app.example/done")
    (made,) = emulator.checkouts()
    assert (checkout.id, checkout.url) == (made.id, emulator.payment_url(made.id))
    assert (checkout.amount, checkout.status, checkout.id_source) == (50, "pending", IdSource.RESPONSE)


def test_earlier_checkout_of_somebody_else_withholds_the_link(emulator, limited, other_client, monkeypatch):
    ask = BillingClient._ask_for_checkout

    def somebody_is_first(self, *request):
        monkeypatch.setattr(BillingClient, "_ask_for_checkout", ask)
        other_client.topup(20)
        emulator.advance(1)
        return ask(self, *request)

    monkeypatch.setattr(BillingClient, "_ask_for_checkout", somebody_is_first)
    with pytest.raises(VideoDBLimitExceededError, match="20 USD in 1 checkout count already"):
        limited(monthly_topup_limit=60).topup(50)
    assert [made.status for made in emulator.checkouts()] == ["pending", "pending"]


@pytest.mark.parametrize("is_paid", [True, False])
def test_later_checkout_takes_the_room_only_if_it_is_paid(emulator, limited, other_client, meanwhile, is_paid):
    def somebody_follows(_checkout):
        emulator.advance(1)
        later = other_client.topup(20)
        if is_paid:
            emulator.pay(later.id)

    hook = limited(monthly_topup_limit=60)
    meanwhile(somebody_follows)
    if is_paid:
        with pytest.raises(VideoDBLimitExceededError, match="withheld"):
            hook.topup(50)
    else:
        assert hook.topup(50).url


def test_lagging_list_is_waited_for(emulator, limited, other_client, meanwhile):
    emulator.change_settings(list_lag=1.6)
    meanwhile(lambda checkout: other_client.topup(20))
    checkout = limited(monthly_topup_limit=100).topup(50)
    assert checkout.id in {made.id for made in emulator.checkouts()}


def test_checkout_that_the_list_forgets_still_counts(emulator, limited, other_client, meanwhile):
    before = other_client.topup(50)
    # The list tells whole seconds apart.
    emulator.advance(1)

    def list_forgets(_checkout):
        emulator.hide_checkout(before.id)
        emulator.pay(other_client.topup(1).id)

    hook = limited(monthly_topup_limit=100)
    meanwhile(list_forgets)
    with pytest.raises(VideoDBLimitExceededError, match="51 USD in 2 checkouts count already"):
        hook.topup(50)


def test_checkout_that_is_never_listed_withholds_its_link(emulator, limited, meanwhile):
    meanwhile(lambda checkout: emulator.hide_checkout(checkout.id))
    with pytest.raises(VideoDBLimitExceededError, match="list does not show it") as caught:
        limited(monthly_topup_limit=100).topup(50)
    assert f"Checkout {emulator.checkouts()[0].id} for 50 USD was made" in str(caught.value)
    assert "/pay/" not in str(caught.value)


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "html"}], ids=str)
def test_list_that_cannot_be_read_again_withholds_the_link(emulator, limited, meanwhile, monkeypatch, fault):
    hook = limited(monthly_topup_limit=100, max_retries=0)
    meanwhile(lambda checkout: emulator.add_fault(path="/billing/checkouts", times=None, **fault))
    with pytest.raises(VideoDBLimitExceededError, match="could not be checked again") as caught:
        hook.topup(50)
    assert "Its link is withheld." in str(caught.value)
    assert "Next step: look for the checkout in VideoDB's console" in str(caught.value)


def test_lost_response_is_still_an_unknown_outcome(emulator, limited):
    emulator.add_fault("drop_after", method="POST", path="/billing/topup")
    with pytest.raises(VideoDBOutcomeUnknownError):
        limited(monthly_topup_limit=100).topup(50)


@pytest.mark.parametrize("amount", ["five", 5.5, True, 0, -1, None])
@pytest.mark.parametrize("door", ["hook.topup", "get_conn().topup"])
def test_invalid_amount_is_refused_before_anything_is_sent(emulator, limited, door, amount):
    with pytest.raises(VideoDBConfigError, match="amount is"):
        DOORS[door](limited(max_topup_amount=20, monthly_topup_limit=20), amount)
    assert emulator.calls() == []


def test_unlimited_client_checks_no_limit(emulator, limited):
    unlimited_client(limited(max_topup_amount=1, monthly_topup_limit=1).settings).topup(50)
    assert [call.method for call in emulator.calls()] == ["POST"]
