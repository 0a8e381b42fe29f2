"""EnsureCreditsTrigger waits for a balance and for the payment of what was bought."""

from __future__ import annotations

import asyncio
import json
import pkgutil
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import VideoDBPermissionError, VideoDBServerError
from airflow_provider_videodb.purchases.rules.credit_wait import CreditWait
from airflow_provider_videodb.triggers import _accounts as accounts
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from tests.support.compat import deserialize, serialize
from tests.support.records import purchase_of
from tests.support.triggerer import triggerer

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator

pytestmark = pytest.mark.anyio

USAGE = "/billing/usage"
CHECKOUTS = "/billing/checkouts"
INTERVAL = 0.1
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": INTERVAL}


@pytest.fixture
def checkout(emulator: Emulator) -> str:
    """Ask for a checkout for 50 USD and return its id; nobody has paid it."""
    BillingClient(emulator.api_key, base_url=emulator.base_url).topup(50)
    emulator.clear_calls()
    return emulator.checkouts()[0].id


def ensuring(purchase: dict[str, Any] | None, **arguments: Any) -> EnsureCreditsTrigger:
    wait = {"format": 1, "purchase": purchase, "deadline": 1.5}
    usual = WAIT | {"threshold": 53, "deadline": time.time() + 30, "wait": wait}
    return EnsureCreditsTrigger(**usual | arguments)


async def asked(account: Emulator, path: str, times: int = 2) -> None:
    so_far = len(account.calls(path=path))
    await asyncio.to_thread(account.wait_for_calls, so_far + times, path=path, until=lambda call: call.done)


async def the_event(airflow: Any) -> dict[str, Any]:
    (event,) = (await airflow.events(1)).values()
    return event.payload


async def test_payment_ends_the_wait_before_the_balance_shows_it(emulator, checkout):
    emulator.change_settings(usage_lag=3600)
    trigger = ensuring(purchase_of(checkout))
    async with triggerer() as airflow:
        await airflow.start(trigger)
        await asked(emulator, CHECKOUTS)
        assert not airflow.happened
        emulator.pay(checkout)
        told = await the_event(airflow)
        await airflow.idle()
        assert airflow.polls == 0

    assert told["status"] == "paid"
    wait = CreditWait.from_dict(told["wait"])
    assert wait.purchase is not None
    assert wait.purchase.paid == (checkout,)
    assert wait.purchase.paid_at is not None
    assert wait.deadline == 1.5


async def test_expired_checkout_ends_the_wait_at_the_next_poll(emulator, checkout):
    async with triggerer() as airflow:
        await airflow.start(ensuring(purchase_of(checkout)))
        await asked(emulator, CHECKOUTS)
        emulator.expire(checkout)
        told = await the_event(airflow)

    assert told["error"] == "VideoDBCheckoutExpiredError"


async def test_expiry_ends_the_wait_though_the_balance_is_unreadable(emulator, checkout, monkeypatch):
    monkeypatch.setattr(accounts, "LONGEST_PAUSE", 0)
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    emulator.expire(checkout)
    async with triggerer() as airflow:
        await airflow.start(ensuring(purchase_of(checkout)))
        assert (await the_event(airflow))["error"] == "VideoDBCheckoutExpiredError"


async def test_balance_counts_though_the_checkout_expired_earlier(emulator, checkout):
    fault = emulator.add_fault("hang", path=USAGE, times=None)
    async with triggerer() as airflow:
        await airflow.start(ensuring(purchase_of(checkout)))
        await asked(emulator, CHECKOUTS)
        emulator.expire(checkout)
        await asked(emulator, CHECKOUTS, 3)
        assert not airflow.happened
        emulator.set_balance(53)
        emulator.remove_fault(fault.id)
        assert (await the_event(airflow))["status"] == "enough"


async def test_sufficient_balance_ends_the_wait_for_a_payment(emulator, checkout):
    trigger = ensuring(purchase_of(checkout))
    async with triggerer() as airflow:
        await airflow.start(trigger)
        await asked(emulator, CHECKOUTS)
        emulator.set_balance(53)
        told = await the_event(airflow)

    assert (told["status"], told["usage"]["credit_balance"]) == ("enough", 53)
    assert told["wait"] == trigger.wait


async def test_unlisted_checkout_does_not_end_the_wait(emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.MAX_MISSED_POLLS", 0)
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.MISSING_GRACE", timedelta(0))
    async with triggerer() as airflow:
        await airflow.start(ensuring(purchase_of("cs_nowhere")))
        await asked(emulator, CHECKOUTS, 3)
        assert not airflow.happened
        emulator.set_balance(53)
        assert (await the_event(airflow))["status"] == "enough"


@pytest.mark.parametrize("purchase", [None, purchase_of("cs_1") | {"paid": ["cs_1"]}], ids=["none", "paid"])
async def test_list_is_not_polled_if_nothing_can_be_paid(emulator, purchase):
    async with triggerer() as airflow:
        await airflow.start(ensuring(purchase))
        await asked(emulator, USAGE)
        assert airflow.polls == 1
        emulator.set_balance(53)
        await airflow.events(1)

    assert emulator.calls(path=CHECKOUTS) == []


async def test_waits_share_their_polls_with_sensors_and_payments(emulator, checkout):
    purchase = purchase_of(checkout)
    async with triggerer() as airflow:
        await airflow.start(
            *[ensuring(purchase) for _ in range(200)],
            CreditThresholdTrigger(**WAIT, threshold=53, deadline=time.time() + 30),
            CheckoutTrigger(**WAIT, purchase=purchase, deadline=time.time() + 30),
        )
        await asked(emulator, USAGE, 1)
        await asked(emulator, CHECKOUTS, 1)
        began = time.monotonic()
        before = {path: len(emulator.calls(path=path)) for path in (USAGE, CHECKOUTS)}
        await asked(emulator, USAGE, 4)
        assert airflow.polls == 2
        intervals = (time.monotonic() - began) / INTERVAL
        assert all(len(emulator.calls(path=path)) - before[path] <= intervals + 2 for path in before)

        emulator.pay(checkout)
        events = await airflow.events(202)
        await airflow.idle()
        assert airflow.polls == 0
    assert {event.payload["status"] for event in events.values()} <= {"paid", "enough"}


async def test_deadline_ends_the_wait_once(emulator, checkout):
    trigger = ensuring(purchase_of(checkout), deadline=time.time() + 2 * INTERVAL)
    async with triggerer() as airflow:
        await airflow.start(trigger)
        told = await the_event(airflow)
        await airflow.idle()
        assert len(airflow.happened) == 1

    assert (told["status"], told["usage"]["credit_balance"]) == ("timeout", 3)
    assert told["wait"] == trigger.wait


class TestFailingPolls:
    """The failures of the two polls are counted separately."""

    @pytest.fixture(autouse=True)
    def _no_back_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(accounts, "LONGEST_PAUSE", 0)

    async def test_failing_list_leaves_the_balance(self, emulator, checkout):
        emulator.add_fault("status", path=CHECKOUTS, times=None, status=503)
        async with triggerer() as airflow:
            await airflow.start(ensuring(purchase_of(checkout), max_consecutive_failures=2))
            await asked(emulator, CHECKOUTS, 4)
            assert not airflow.happened
            emulator.set_balance(53)
            assert (await the_event(airflow))["status"] == "enough"

    async def test_failing_balance_leaves_the_list(self, emulator, checkout):
        emulator.add_fault("status", path=USAGE, times=None, status=503)
        async with triggerer() as airflow:
            await airflow.start(ensuring(purchase_of(checkout), max_consecutive_failures=2))
            await asked(emulator, USAGE, 4)
            assert not airflow.happened
            emulator.pay(checkout)
            assert (await the_event(airflow))["status"] == "paid"

    async def test_failing_balance_is_polled_again(self, emulator, checkout):
        emulator.add_fault("status", path=USAGE, times=4, status=503)
        emulator.set_balance(53)
        async with triggerer() as airflow:
            await airflow.start(ensuring(purchase_of(checkout), max_consecutive_failures=2))
            assert (await the_event(airflow))["status"] == "enough"

    async def test_two_failing_polls_end_the_wait(self, emulator, checkout):
        emulator.add_fault("status", path="/billing/*", times=None, status=503)
        async with triggerer() as airflow:
            await airflow.start(ensuring(purchase_of(checkout), max_consecutive_failures=2))
            assert (await the_event(airflow))["error"] == VideoDBServerError.__name__
        assert {len(emulator.calls(path=path)) >= 2 for path in (USAGE, CHECKOUTS)} == {True}

    @pytest.mark.parametrize("path", [USAGE, CHECKOUTS])
    async def test_refused_key_ends_the_wait_at_once(self, emulator, checkout, path):
        emulator.add_fault("status", path=path, times=None, status=403)
        async with triggerer() as airflow:
            await airflow.start(ensuring(purchase_of(checkout)))
            assert (await the_event(airflow))["error"] == VideoDBPermissionError.__name__


def test_trigger_survives_the_database():
    classpath, kwargs = ensuring(purchase_of("cs_1")).serialize()

    stored = json.loads(json.dumps(serialize(kwargs), allow_nan=False))

    assert stored == kwargs
    assert pkgutil.resolve_name(classpath)(**deserialize(stored)).serialize() == (classpath, kwargs)
