"""A clock that is set by a day while tasks wait."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.models import Checkout
from airflow_provider_videodb.exceptions import VideoDBCheckoutMissingError
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.records import purchase_of
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

DAY = 24 * 3600.0
CHECKOUTS = "/billing/checkouts"
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 0.1}


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the date of this process, but not its monotonic clock."""
    right = time.time

    def by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: right() + seconds)

    return by


def gate(seconds: float) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(**WAIT, threshold=10, deadline=time.time() + seconds)


def payment(seconds: float) -> CheckoutTrigger:
    return CheckoutTrigger(**WAIT, purchase=purchase_of("cs_1"), deadline=time.time() + seconds)


async def test_clock_set_forward_ends_no_wait(emulator, set_clock):
    async with triggerer() as airflow:
        await airflow.start(gate(30))
        await polled(emulator, 2)
        set_clock(DAY)
        await polled(emulator, 3)
        await airflow.waits_on()

        emulator.set_balance(10)
        assert (await airflow.payload())["status"] == "enough"


@pytest.mark.parametrize(("make", "path"), [(gate, "/billing/usage"), (payment, CHECKOUTS)])
async def test_clock_set_back_prolongs_no_wait(emulator, set_clock, make, path):
    async with triggerer() as airflow:
        await airflow.start(make(1))
        await polled(emulator, 2, path=path)
        set_clock(-DAY)

        assert (await airflow.payload())["status"] == "timeout"


async def test_restart_with_the_clock_set_back_prolongs_no_wait(emulator, set_clock):
    stored = gate(1).serialize()
    set_clock(-DAY)
    async with triggerer() as airflow:
        await airflow.start_stored(*stored)

        assert (await airflow.payload())["status"] == "timeout"


async def test_deadline_in_the_event_follows_the_clock(emulator, set_clock):
    async with triggerer() as airflow:
        await airflow.start(payment(1))
        await polled(emulator, 2, path=CHECKOUTS)
        set_clock(-DAY)
        told = await airflow.payload()

    assert told["deadline"] - time.time() < 1


@pytest.mark.parametrize("jump", [-DAY, DAY])
async def test_missing_checkout_has_its_grace_despite_a_jump(monkeypatch, set_clock, jump):
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.MISSING_GRACE", timedelta(seconds=0.5))
    trigger = payment(30)
    trigger.start()
    trigger.on_checkouts({})
    set_clock(jump)
    trigger.on_checkouts({})
    time.sleep(0.5)  # noqa: ASYNC251 - nothing else runs here, and the grace is what passes

    with pytest.raises(VideoDBCheckoutMissingError):
        trigger.on_checkouts({})


async def test_time_of_a_wait_is_the_time_of_day():
    trigger = payment(30)
    trigger.start()
    listed = Checkout.from_list(
        {"id": "cs_1", "amount": 50, "currency": "usd", "status": "pending", "created_at": time.time()}
    )

    assert listed.created_at is not None
    assert abs(trigger.now() - listed.created_at) < timedelta(seconds=5)
