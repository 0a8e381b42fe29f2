"""A trigger asks for a reminder once it is due, while somebody can still pay."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from tests.support.records import purchase_of
from tests.support.triggerer import triggerer
from tests.unit.triggers.poll_results import BLIP, checkout_trigger, listed, outcome, payload

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator
    from airflow_provider_videodb.triggers._poll import PollResult

pytestmark = pytest.mark.anyio

PENDING = listed("cs_1", "pending")


def due(**arguments: Any) -> Any:
    """Return a trigger whose reminder was due a second ago."""
    return checkout_trigger(**{"remind_at": time.time() - 1} | arguments)


async def test_due_reminder_of_a_pending_checkout_returns_the_wait():
    deadline = time.time() + 60
    trigger = due(deadline=deadline, required_action="open")
    told = await payload(trigger, PENDING)

    assert json.loads(json.dumps(told)) == told
    assert {name: told[name] for name in ("status", "remind_at", "required_action", "purchase")} == {
        "status": "remind",
        "remind_at": trigger.remind_at,
        "required_action": "open",
        "purchase": purchase_of("cs_1"),
    }
    assert told["deadline"] == pytest.approx(deadline, abs=5)


@pytest.mark.parametrize("remind_at", [None, 3600])
async def test_reminder_that_is_not_due_keeps_the_wait(remind_at: float | None):
    at = None if remind_at is None else time.time() + remind_at

    assert await outcome(due(remind_at=at), PENDING, PENDING) is None


@pytest.mark.parametrize(
    "result", [listed("cs_1", "expired"), listed("cs_9", "pending"), BLIP], ids=["expired", "missing", "failed poll"]
)
async def test_checkout_that_may_not_be_open_is_not_reminded_of(result: PollResult):
    assert await outcome(due(), result) is None


async def test_payment_comes_before_the_reminder():
    assert (await payload(due(), listed("cs_1", "completed")))["status"] == "paid"


async def test_end_of_the_wait_comes_before_the_reminder():
    assert (await payload(due(deadline=time.time() - 1), PENDING))["status"] == "timeout"


@pytest.mark.parametrize("remind_at", ["soon", True, float("nan"), [1]], ids=str)
async def test_edited_moment_is_an_error_of_the_task(remind_at: object):
    assert (await payload(due(remind_at=remind_at), PENDING))["error"] == "VideoDBConfigError"


async def test_moment_has_come_from_its_second_on():
    trigger = checkout_trigger()
    await outcome(trigger, PENDING)
    now = trigger.now().timestamp()

    assert [trigger.has_come(moment) for moment in (None, now + 60, now, now - 60)] == [False, False, True, True]


@pytest.fixture
def checkout(emulator: Emulator) -> str:
    """Ask for a checkout for 50 USD and return its id; nobody has paid it."""
    BillingClient(emulator.api_key, base_url=emulator.base_url).topup(50)
    return emulator.checkouts()[0].id


def ensuring(checkout: str, **arguments: Any) -> EnsureCreditsTrigger:
    wait = {"format": 1, "purchase": purchase_of(checkout), "deadline": 1.5}
    usual = {"threshold": 53, "deadline": time.time() + 30, "wait": wait, "remind_at": time.time() - 1}
    return EnsureCreditsTrigger(**{"videodb_conn_id": "videodb_default", "poll_interval": 0.1} | usual | arguments)


async def the_event(trigger: EnsureCreditsTrigger) -> dict[str, Any]:
    async with triggerer() as airflow:
        await airflow.start(trigger)
        (event,) = (await airflow.events(1)).values()
    return event.payload


async def test_gate_is_reminded_of_with_its_wait(checkout):
    trigger = ensuring(checkout)
    told = await the_event(trigger)

    assert (told["status"], told["remind_at"], told["gate"]) == ("remind", trigger.remind_at, None)
    assert told["wait"]["purchase"] == purchase_of(checkout)


async def test_gate_that_is_open_is_not_reminded_of(emulator, checkout):
    emulator.set_balance(60)

    # The list may be read first.
    assert (await the_event(ensuring(checkout)))["status"] in ("enough", "may_open")


async def test_gate_that_was_paid_for_is_not_reminded_of(emulator, checkout):
    emulator.change_settings(usage_lag=3600)
    emulator.pay(checkout)

    assert (await the_event(ensuring(checkout)))["status"] == "paid"
