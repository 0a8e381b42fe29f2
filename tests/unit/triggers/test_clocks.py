"""A clock that somebody sets, by a day, while tasks wait: no wait ends early and none lasts a day longer."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.models import Checkout
from airflow_provider_videodb.triggers._base import seconds_left
from airflow_provider_videodb.triggers._pauses import Pause
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.records import purchase_of
from tests.support.triggerer import triggerer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

DAY = 24 * 3600.0
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 0.1}


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the date of this process, but not the clock that it measures with."""
    right = time.time

    def by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: right() + seconds)

    return by


def gate(seconds: float, **arguments: Any) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(**WAIT | {"threshold": 10, "deadline": time.time() + seconds} | arguments)


def waiting_for_payment(seconds: float) -> CheckoutTrigger:
    return CheckoutTrigger(**WAIT, purchase=purchase_of("cs_1"), deadline=time.time() + seconds)


async def polled(emulator: Any, times: int = 2) -> None:
    await asyncio.to_thread(emulator.wait_for_calls, len(emulator.calls()) + times, until=lambda call: call.done)


async def test_clock_set_forward_ends_no_wait(emulator, set_clock):
    async with triggerer() as airflow:
        (waiting,) = await airflow.start(gate(30))
        await polled(emulator)
        set_clock(DAY)
        await polled(emulator, 3)
        await airflow.until(lambda: True)
        assert not airflow.happened

        emulator.set_balance(10)
        assert (await airflow.events(1))[waiting].payload["status"] == "enough"


@pytest.mark.parametrize("make", [gate, waiting_for_payment])
async def test_clock_set_back_prolongs_no_wait(emulator, set_clock, make):
    async with triggerer() as airflow:
        await airflow.start(make(1))
        await polled(emulator)
        set_clock(-DAY)
        (event,) = (await airflow.events(1, within=5)).values()

    assert event.payload["status"] == "timeout"


async def test_triggerer_that_starts_with_its_clock_set_back_waits_no_longer_than_was_asked_for(emulator, set_clock):
    stored = gate(1).serialize()
    set_clock(-DAY)
    async with triggerer() as airflow:
        await airflow.start_stored(*stored)
        (event,) = (await airflow.events(1, within=5)).values()

    assert event.payload["status"] == "timeout"


async def test_wait_that_goes_on_after_the_event_is_not_prolonged_either(emulator, set_clock):
    async with triggerer() as airflow:
        await airflow.start(waiting_for_payment(1))
        await polled(emulator)
        set_clock(-DAY)
        (event,) = (await airflow.events(1, within=5)).values()

    assert event.payload["deadline"] - time.time() < 1


@pytest.mark.parametrize("jump", [-DAY, DAY])
async def test_checkout_is_missing_after_its_grace_and_not_after_a_jump(monkeypatch, set_clock, jump):
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.MISSING_GRACE", timedelta(seconds=0.5))
    trigger = waiting_for_payment(30)
    trigger.start()
    trigger.on_checkouts({})
    set_clock(jump)
    trigger.on_checkouts({})
    time.sleep(0.5)  # noqa: ASYNC251 - nothing else runs here, and the grace is what is waited for

    with pytest.raises(Exception, match="not in VideoDB's list"):
        trigger.on_checkouts({})


async def test_dates_of_a_list_are_compared_with_the_time_of_day():
    trigger = waiting_for_payment(30)
    trigger.start()
    listed = Checkout.from_list(
        {"id": "cs_1", "amount": 50, "currency": "usd", "status": "pending", "created_at": time.time()}
    )

    assert listed.created_at is not None
    assert abs(trigger.now() - listed.created_at) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("deadline", "timeout", "left"),
    [
        (None, None, math.inf),
        (None, 60, 60),
        (1060, None, 60),
        (1060, 100, 60),
        (1060, 30, 30),
        (1000 + DAY, 60, 60),
        (900, 60, -100),
    ],
)
def test_what_is_left_of_a_wait(deadline, timeout, left):
    assert seconds_left(deadline, timeout, now=1000) == left


@pytest.mark.parametrize(
    ("now", "left"), [(1000, 60), (1030, 30), (1060, 0), (1000 + DAY, 0), (1000 - DAY, 60), (float("nan"), 0)]
)
def test_what_is_left_of_a_pause(now, left):
    assert Pause(until=1060, asked=60, account="a").left(now) == left
