"""A connection that names another account while a task waits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.records import purchase_of
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

USAGE = "/billing/usage"
CHECKOUTS = "/billing/checkouts"
INTERVAL = 0.1
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": INTERVAL}


@pytest.fixture
def other() -> Iterator[Emulator]:
    """Run another account, with 3 credits and another key."""
    with Emulator(credits=3, api_key="sk-test-of-the-other-account") as running:
        yield running


@pytest.fixture
def move(other: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let `videodb_default` name the other account."""
    return lambda: monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", other.connection_json)


def gate(threshold: int = 100, **arguments: Any) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(**WAIT | {"threshold": threshold, "deadline": time.time() + 30} | arguments)


def waiting_for(checkout_id: str) -> CheckoutTrigger:
    return CheckoutTrigger(**WAIT, purchase=purchase_of(checkout_id), deadline=time.time() + 30)


async def test_new_gate_ignores_the_balance_of_the_old_account(emulator, other, move):
    emulator.set_balance(500)
    async with triggerer() as airflow:
        await airflow.start(gate(1000))
        await polled(emulator, 2)
        move()
        (new,) = await airflow.start(gate(100))
        await polled(other, 2)
        await airflow.waits_on()

        other.set_balance(100)
        assert set(await airflow.events(1)) == {new}


async def test_waiting_gates_go_on_with_the_new_account(emulator, other, move):
    async with triggerer() as airflow:
        await airflow.start(*[gate() for _ in range(50)])
        await polled(emulator)
        move()
        await polled(other, 2)
        emulator.set_balance(500)
        calls = len(emulator.calls())
        await polled(other, 2)
        assert len(emulator.calls()) == calls
        await airflow.waits_on()

        other.set_balance(100)
        events = await airflow.events(50)
    assert {event.payload["usage"]["credit_balance"] for event in events.values()} == {100}


async def test_response_of_the_old_account_opens_no_gate(emulator, other, move):
    emulator.set_balance(500)
    fault = emulator.add_fault("hang", path=USAGE, times=None, work=True)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator, answered=False)
        move()
        emulator.remove_fault(fault.id)
        await polled(other, 2)
        await airflow.waits_on()

        other.set_balance(100)
        await airflow.events(1)


@pytest.mark.parametrize(
    "fault", [{"kind": "hang", "times": None}, {"kind": "status", "status": 429, "retry_after": "3600"}], ids=str
)
async def test_old_account_that_is_slow_does_not_delay_the_new(emulator, other, move, fault):
    emulator.add_fault(path=USAGE, **fault)
    other.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator, answered=fault["kind"] != "hang")
        move()

        assert (await airflow.payload())["status"] == "enough"


async def test_failures_of_the_old_account_do_not_count(emulator, other, move):
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    other.add_fault("status", path=USAGE, times=1, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(max_consecutive_failures=2))
        await polled(emulator)
        move()
        await polled(other, 2)
        other.set_balance(100)

        assert (await airflow.payload())["status"] == "enough"


async def test_refusal_of_the_old_account_ends_no_wait(emulator, other, move):
    fault = emulator.add_fault("hang", path=USAGE, times=None)
    other.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator, answered=False)
        move()
        emulator.change_settings(api_key="sk-test-revoked")
        emulator.remove_fault(fault.id)

        assert (await airflow.payload())["status"] == "enough"


async def test_timeout_leaves_out_the_balance_of_the_old_account(emulator, other, move):
    emulator.set_balance(500)
    other.add_fault("status", path=USAGE, times=None, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(1000, deadline=time.time() + 1.5))
        await polled(emulator, 2)
        move()

        assert await airflow.payload() == {"format": 1, "status": "timeout", "usage": None}


async def test_checkout_of_the_new_account_is_found(emulator, other, move):
    async with triggerer() as airflow:
        await airflow.start(waiting_for("cs_of_the_old"))
        await polled(emulator, 2, path=CHECKOUTS)
        move()
        BillingClient(other.api_key, base_url=other.base_url).topup(50)
        (checkout,) = other.checkouts()
        (new,) = await airflow.start(waiting_for(checkout.id))
        await polled(other, 5, path=CHECKOUTS)
        other.pay(checkout.id)
        events = await airflow.events(1)

    assert events[new].payload["status"] == "paid"


async def test_new_key_is_used_after_the_old_one_is_refused(emulator, monkeypatch):
    async with triggerer() as airflow:
        waiting = await airflow.start(*[gate(10) for _ in range(20)])
        await polled(emulator)
        emulator.change_settings(api_key="sk-the-new-one")
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", emulator.connection_json)
        await polled(emulator, 3)
        assert len(airflow.runner.triggers) == 20

        emulator.set_balance(10)
        assert set(await airflow.events(20)) == set(waiting)


@pytest.mark.parametrize("is_read_first", [True, False])
async def test_connection_that_is_gone_for_a_moment_ends_no_wait(emulator, monkeypatch, is_read_first):
    connection = emulator.connection_json
    emulator.set_balance(3 if is_read_first else 100)
    if not is_read_first:
        monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
    async with triggerer() as airflow:
        (waiting,) = await airflow.start(gate())
        if is_read_first:
            await polled(emulator)
            monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
            emulator.set_balance(100)
            await asyncio.sleep(INTERVAL)
        calls = len(emulator.calls())
        await asyncio.sleep(3 * INTERVAL)
        assert len(emulator.calls()) == calls
        await airflow.waits_on()

        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", connection)
        assert set(await airflow.events(1)) == {waiting}


async def test_connection_that_stays_unreadable_ends_the_wait(emulator, monkeypatch):
    async with triggerer() as airflow:
        await airflow.start(gate(max_consecutive_failures=2))
        await polled(emulator)
        monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")

        assert (await airflow.payload())["error"] == "VideoDBNoConnectionError"
