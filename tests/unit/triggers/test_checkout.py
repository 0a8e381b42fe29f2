"""When a checkout is paid, and what remains payable after a kill."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from airflow_provider_videodb.exceptions import VideoDBCheckoutExpiredError, VideoDBPurchaseUnknownError
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from tests.support.records import purchase_of
from tests.unit.triggers.poll_results import WAIT, checkout_trigger, listed, outcome, payload

pytestmark = pytest.mark.anyio


async def test_checkout_is_paid_once_the_list_says_completed():
    told = await payload(checkout_trigger(), listed("cs_1", "pending"), listed("cs_1", "completed"))

    assert told["status"] == "paid"
    assert told["purchase"]["paid"] == ["cs_1"]


async def test_one_poll_does_not_prove_that_a_checkout_expired():
    assert await outcome(checkout_trigger(), listed("cs_1", "expired"), listed("cs_1", "expired")) is None


async def test_expired_checkout_is_an_error(monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.LIST_LAG", timedelta(0))

    told = await payload(checkout_trigger(), listed("cs_1", "expired"))

    assert told["error"] == VideoDBCheckoutExpiredError.__name__


@pytest.mark.parametrize("status", ["processing", "refunded", "Completed"])
async def test_unknown_status_of_a_checkout_proves_nothing(status):
    trigger = checkout_trigger()
    assert await outcome(trigger, listed("cs_1", "pending"), listed("cs_1", status), listed("cs_1", status)) is None

    told = await payload(checkout_trigger(), listed("cs_1", status), listed("cs_1", "completed"))
    assert told["status"] == "paid"


async def test_timeout_carries_the_purchase():
    told = await payload(checkout_trigger(deadline=time.time() - 1), listed("cs_1", "pending"))

    assert told["status"] == "timeout"
    assert told["purchase"] == purchase_of("cs_1")


@pytest.mark.parametrize("purchase", [{}, {"amount": 50, "of": "another version"}, None, "cs_1"])
async def test_unreadable_purchase_is_an_error_of_the_task(purchase):
    # The triggerer survives only a TypeError of a constructor.
    told = await payload(checkout_trigger(purchase=purchase))

    assert told["error"] == VideoDBPurchaseUnknownError.__name__


async def test_killed_wait_logs_the_link_without_the_list(emulator, capsys):
    emulator.add_fault("status", times=None, status=503)
    purchase = purchase_of("cs_1") | {"link_shared": True}

    await CheckoutTrigger(**WAIT, purchase=purchase).on_kill()

    told = capsys.readouterr().out
    assert purchase["payment_url"] in told
    assert "could not be asked whether it was paid" in told
    assert "503" in told
