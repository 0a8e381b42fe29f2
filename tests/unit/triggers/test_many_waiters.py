"""Many waiting tasks in Airflow's own triggerer: their cost, and that each gets its event."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBAuthenticationError
from airflow_provider_videodb.triggers import _accounts as accounts
from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers._failures import MAX_CONSECUTIVE_FAILURES
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from tests.conftest import API_KEY
from tests.support.records import purchase_of
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

USAGE = "/billing/usage"
CHECKOUTS = "/billing/checkouts"
INTERVAL = 0.2


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Drop the two lines that the triggerer logs for each trigger."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    yield
    structlog.configure(**before)


@pytest.fixture
def second_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(credits=3, api_key=API_KEY) as running:
        monkeypatch.setenv("AIRFLOW_CONN_SECOND", running.connection_json)
        yield running


def gate(**arguments: Any) -> CreditThresholdTrigger:
    usual = {
        "threshold": "10",
        "videodb_conn_id": "videodb_default",
        "poll_interval": INTERVAL,
        "deadline": time.time() + 30,
    }
    return CreditThresholdTrigger(**usual | arguments)


@pytest.mark.parametrize("waiters", [1, 50, 1000])
async def test_waiters_cost_one_request_per_interval(emulator, waiters):
    async with triggerer() as airflow:
        await airflow.start(*[gate(threshold=str(10 + number % 3)) for number in range(waiters)])
        await polled(emulator)
        assert airflow.polls == 1
        began, before = time.monotonic(), len(emulator.calls())
        await polled(emulator, 4)
        intervals = (time.monotonic() - began) / INTERVAL

        emulator.set_balance(12)
        events = await airflow.events(waiters)
        await airflow.idle()

        assert len(emulator.calls()) - before <= intervals + 3
        assert {event.payload["usage"]["credit_balance"] for event in events.values()} == {12}
        assert airflow.polls == 0


async def test_waiter_has_its_own_threshold_and_deadline(emulator):
    async with triggerer() as airflow:
        late, low, high = await airflow.start(
            gate(deadline=time.time() + 2 * INTERVAL), gate(threshold="5"), gate(threshold="50")
        )
        events = await airflow.events(1)
        assert events[late].payload["status"] == "timeout"
        assert events[late].payload["usage"]["credit_balance"] == 3

        emulator.set_balance(6)
        assert set(await airflow.events(2)) == {late, low}
        emulator.set_balance(50)
        assert set(await airflow.events(3)) == {late, low, high}


async def test_newcomer_joins_the_running_poll(emulator):
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator, 2)
        (late,) = await airflow.start(gate(threshold="3"))

        assert set(await airflow.events(1)) == {late}
        assert airflow.polls == 1


async def test_waiters_outlast_failures_that_the_log_names_once(emulator, caplog, monkeypatch):
    monkeypatch.setattr(accounts, "LONGEST_PAUSE", 0)
    caplog.set_level("INFO", logger=polling.__name__)
    async with triggerer() as airflow:
        waiting = await airflow.start(*[gate(max_consecutive_failures=10_000) for _ in range(50)])
        for kind in ("status", "html", "truncated", "drop_before", "redirect"):
            location = {"location": "http://127.0.0.1:9/"} if kind == "redirect" else {}
            emulator.add_fault(kind, path=USAGE, times=2, **location)
        await polled(emulator, 11)
        assert len(airflow.runner.triggers) == 50

        emulator.set_balance(10)
        assert set(await airflow.events(50)) == set(waiting)

    told = [record.getMessage() for record in caplog.records if record.name == polling.__name__]
    assert ["again" in text for text in told] == [False, True]


async def test_api_that_stays_down_ends_every_wait(emulator):
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    async with triggerer() as airflow:
        few = await airflow.start(*[gate(max_consecutive_failures=2) for _ in range(3)])
        events = await airflow.events(3)

        assert set(events) == set(few)
        assert {event.payload["error"] for event in events.values()} == {"VideoDBServerError"}
        assert len(emulator.calls()) <= 3


async def test_five_failures_outlast_ten_minutes_at_half_a_minute(emulator):
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(poll_interval=0.1))
        assert (await airflow.payload())["error"] == "VideoDBServerError"

    first, *_, last = emulator.calls()
    assert len(emulator.calls()) == MAX_CONSECUTIVE_FAILURES
    assert (last.wall_time - first.wall_time).total_seconds() / 0.1 > 10 * 60 / 30


async def test_refused_key_reaches_every_task_as_its_error(emulator, monkeypatch):
    wrong = emulator.connection | {"password": "sk-revoked"}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(wrong))
    async with triggerer() as airflow:
        waiting = await airflow.start(*[gate(soft_fail=True, end_from_trigger=True) for _ in range(20)])
        events = await airflow.events(20)
        await airflow.idle()

        assert set(events) == set(waiting)
        assert not airflow.failed
    for event in events.values():
        with pytest.raises(VideoDBAuthenticationError, match="401"):
            checked_event(event.payload, EventStatus.ENOUGH)


async def test_connection_without_a_password_ends_the_wait(emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(emulator.connection | {"password": ""}))
    async with triggerer() as airflow:
        await airflow.start(gate())
        told = await airflow.payload()

    assert told["error"] == "VideoDBConfigError"
    assert "no password" in told["message"]


async def test_retry_after_delays_the_poll_and_no_deadline(emulator):
    emulator.add_fault("status", path=USAGE, times=1, status=429, retry_after="1")
    async with triggerer() as airflow:
        hasty, patient = await airflow.start(
            gate(deadline=time.time() + 0.4, max_consecutive_failures=1), gate(max_consecutive_failures=1)
        )
        events = await airflow.events(1)
        assert events[hasty].payload == {"format": 1, "status": "timeout", "usage": None}
        assert len(emulator.calls()) == 1

        emulator.set_balance(10)
        assert set(await airflow.events(2)) == {hasty, patient}
        limited, answered = emulator.calls()[:2]
        assert (answered.wall_time - limited.wall_time).total_seconds() >= 1


async def test_hanging_account_delays_no_deadline_and_no_other(emulator, second_account):
    emulator.add_fault("hang", path=USAGE, times=None)
    second_account.set_balance(10)
    async with triggerer() as airflow:
        stuck, other = await airflow.start(gate(deadline=time.time() + 0.5), gate(videodb_conn_id="second"))
        events = await airflow.events(2)

        assert events[other].payload["status"] == "enough"
        assert events[stuck].payload == {"format": 1, "status": "timeout", "usage": None}
        await airflow.idle()
        [hanging] = emulator.calls()
        assert not hanging.done


async def test_payments_share_a_poll_and_each_task_hears_its_own(emulator):
    made = [_checkout_made(emulator) for _ in range(20)]
    wait: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": INTERVAL}
    async with triggerer() as airflow:
        ids = await airflow.start(
            *[CheckoutTrigger(purchase=purchase_of(one), deadline=time.time() + 30, **wait) for one in made]
        )
        await polled(emulator, 2, path=CHECKOUTS)
        assert airflow.polls == 1
        began, before = time.monotonic(), len(emulator.calls())
        emulator.pay(made[7])
        events = dict(await airflow.events(1))
        assert set(events) == {ids[7]}
        assert events[ids[7]].payload["purchase"]["paid"] == [made[7]]

        emulator.expire(made[3])
        events = await airflow.events(2)
        assert events[ids[3]].payload["error"] == "VideoDBCheckoutExpiredError"
        assert len(emulator.calls()) - before <= (time.monotonic() - began) / INTERVAL + 2
        await airflow.until(lambda: len(airflow.runner.triggers) == 18)


def _checkout_made(emulator: Emulator) -> str:
    BillingClient(emulator.api_key, base_url=emulator.base_url).topup(50)
    return emulator.checkouts()[0].id
