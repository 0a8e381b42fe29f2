"""Feeds a trigger with chosen poll results and returns its event."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from airflow_provider_videodb.api.models import Checkout, Usage
from airflow_provider_videodb.exceptions import VideoDBRateLimitError, VideoDBServerError
from airflow_provider_videodb.hooks.connection import ConnectionSettings
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.triggers._gates import AccountView
from airflow_provider_videodb.triggers._poll import PollResult
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.records import purchase_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent

BLIP = PollResult(error=VideoDBServerError("a blip"))
SLOW_DOWN = PollResult(error=VideoDBRateLimitError("slow down", retry_after=1))
SETTINGS = ConnectionSettings(
    api_key="sk-test-no-account",
    base_url="http://127.0.0.1:9",
    timeout=1,
    max_retries=0,
    limits=SpendLimits(),
    credit_account="shared",
)
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 30}


def balance(credits: str) -> PollResult:
    breakdown = MappingProxyType({"indexing": Decimal("30.5")})
    usage = Usage(credit_balance=Decimal(credits), usage_this_month=Decimal("30.5"), breakdown=breakdown)
    return PollResult(value=AccountView(usage=usage, settings=SETTINGS))


def listed(checkout_id: str, status: str) -> PollResult:
    checkout = Checkout.from_list(
        {"id": checkout_id, "amount": 50, "currency": "usd", "status": status, "created_at": "2026-01-01T00:00:00Z"}
    )
    return PollResult(value={checkout_id: checkout})


def threshold_trigger(**arguments: Any) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(**{"threshold": "100"} | WAIT | arguments)


def checkout_trigger(**arguments: Any) -> CheckoutTrigger:
    return CheckoutTrigger(**{"purchase": purchase_of("cs_1")} | WAIT | arguments)


async def outcome(trigger: Any, *results: PollResult) -> TriggerEvent | None:
    """Return the trigger's event after these results, or ``None`` if it waits on."""
    all_shown = asyncio.Event()

    async def poll(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
        for result in results:
            yield result
        all_shown.set()
        await asyncio.Event().wait()

    return await first_event(trigger, poll, until=all_shown)


async def payload(trigger: Any, *results: PollResult) -> dict[str, Any]:
    event = await outcome(trigger, *results)
    assert event is not None
    return event.payload


async def first_event(trigger: Any, poll: Any, *, until: asyncio.Event | None = None) -> TriggerEvent | None:
    """Run the trigger on this poll; return ``None`` if it still waits once ``until`` is set."""

    async def events() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    with patch("airflow_provider_videodb.triggers._shared_poll.poll", poll):
        waiting = asyncio.create_task(events())
        ends = {waiting} if until is None else {waiting, asyncio.create_task(until.wait())}
        await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(5):
            # An event of the last result needs a few steps of the event loop.
            await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            return None
        (event,) = await waiting
        return event
