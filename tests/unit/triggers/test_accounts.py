"""A connection that is pointed at another account while somebody waits: nothing of one account speaks for the other."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBServerError
from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers._accounts import read_in_triggerer, read_in_worker
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult, poll
from airflow_provider_videodb.triggers._shared_poll import PollKey, polls_here, wait_for_event
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.records import purchase_of
from tests.support.triggerer import triggerer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

USAGE = "/billing/usage"
CHECKOUTS = "/billing/checkouts"
INTERVAL = 0.1
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": INTERVAL}


@pytest.fixture
def other() -> Iterator[Emulator]:
    """Run another account, with 3 credits and a key of its own."""
    with Emulator(credits=3, api_key="sk-test-of-the-other-account") as running:
        yield running


@pytest.fixture
def move(other: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Point `videodb_default` at the other account."""
    return lambda: monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", other.connection_json)


def gate(threshold: int = 100, **arguments: Any) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(**WAIT | {"threshold": threshold, "deadline": time.time() + 30} | arguments)


async def asked(account: Emulator, times: int = 1, *, path: str = USAGE, answered: bool = True) -> None:
    """Wait for so many more calls at an account."""
    so_far = len(account.calls(path=path))
    until = (lambda call: call.done) if answered else None
    await asyncio.to_thread(account.wait_for_calls, so_far + times, path=path, until=until)


async def test_new_gate_does_not_open_on_the_old_accounts_balance(emulator, other, move):
    emulator.set_balance(500)
    async with triggerer() as airflow:
        await airflow.start(gate(1000))
        await asked(emulator, 2)
        move()
        (new,) = await airflow.start(gate(100))
        await asked(other, 2)
        await airflow.until(lambda: True)
        assert not airflow.happened

        other.set_balance(100)
        assert set(await airflow.events(1)) == {new}


async def test_gate_that_waits_goes_on_at_the_new_account(emulator, other, move):
    async with triggerer() as airflow:
        await airflow.start(*[gate() for _ in range(50)])
        await asked(emulator)
        move()
        await asked(other, 2)
        emulator.set_balance(500)
        calls = len(emulator.calls())
        await asked(other, 2)
        assert len(emulator.calls()) == calls
        assert not airflow.happened

        other.set_balance(100)
        events = await airflow.events(50)
    assert {event.payload["usage"]["credit_balance"] for event in events.values()} == {100}


async def test_answer_under_way_while_the_connection_is_changed_opens_nothing(emulator, other, move):
    emulator.set_balance(500)
    fault = emulator.add_fault("hang", path=USAGE, times=None, work=True)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await asked(emulator, answered=False)
        move()
        emulator.remove_fault(fault.id)
        await asked(other, 2)
        await airflow.until(lambda: True)
        assert not airflow.happened

        other.set_balance(100)
        await airflow.events(1)


async def test_old_account_that_hangs_does_not_silence_the_new_one(emulator, other, move):
    emulator.add_fault("hang", path=USAGE, times=None)
    other.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await asked(emulator, answered=False)
        move()
        (event,) = (await airflow.events(1)).values()

    assert event.payload["status"] == "enough"


async def test_nor_does_one_that_asked_to_wait(emulator, other, move):
    emulator.add_fault("status", path=USAGE, status=429, retry_after="3600")
    other.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await asked(emulator)
        move()
        (event,) = (await airflow.events(1)).values()

    assert event.payload["status"] == "enough"


async def test_failures_of_the_old_account_do_not_count_for_the_new_one(emulator, other, move, monkeypatch):
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    other.add_fault("status", path=USAGE, times=1, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(max_consecutive_failures=2))
        await asked(emulator)
        move()
        await asked(other, 2)
        other.set_balance(100)
        (event,) = (await airflow.events(1)).values()

    assert event.payload["status"] == "enough"


async def test_refusal_of_the_old_account_ends_no_wait_at_the_new_one(emulator, other, move):
    fault = emulator.add_fault("hang", path=USAGE, times=None)
    other.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await asked(emulator, answered=False)
        move()
        emulator.change_settings(api_key="sk-test-revoked")
        emulator.remove_fault(fault.id)
        (event,) = (await airflow.events(1)).values()

    assert event.payload["status"] == "enough"


async def test_timeout_does_not_tell_the_old_accounts_balance(emulator, other, move):
    emulator.set_balance(500)
    other.add_fault("status", path=USAGE, times=None, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(1000, deadline=time.time() + 1.5))
        await asked(emulator, 2)
        move()
        (event,) = (await airflow.events(1)).values()

    assert event.payload == {"status": "timeout", "usage": None}


async def test_checkout_of_the_new_account_is_found_though_the_old_one_was_polled(emulator, other, move):
    async with triggerer() as airflow:
        await airflow.start(CheckoutTrigger(**WAIT, purchase=purchase_of("cs_of_the_old"), deadline=time.time() + 30))
        await asked(emulator, 2, path=CHECKOUTS)
        move()
        BillingClient(other.api_key, base_url=other.base_url).topup(50)
        (checkout,) = other.checkouts()
        (new,) = await airflow.start(
            CheckoutTrigger(**WAIT, purchase=purchase_of(checkout.id), deadline=time.time() + 30)
        )
        await asked(other, 5, path=CHECKOUTS)
        other.pay(checkout.id)
        events = await airflow.events(1)

    assert events[new].payload["status"] == "paid"


async def test_connection_that_cannot_be_read_is_a_failure_and_asks_nobody(emulator, monkeypatch):
    connection = emulator.connection_json
    async with triggerer() as airflow:
        (waiting,) = await airflow.start(gate())
        await asked(emulator)
        monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
        emulator.set_balance(100)
        await asyncio.sleep(INTERVAL)
        calls = len(emulator.calls())
        await asyncio.sleep(3 * INTERVAL)
        assert len(emulator.calls()) == calls
        assert not airflow.happened

        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", connection)
        assert set(await airflow.events(1)) == {waiting}


async def test_connection_that_stays_unreadable_ends_the_wait(emulator, monkeypatch):
    async with triggerer() as airflow:
        await airflow.start(gate(max_consecutive_failures=2))
        await asked(emulator)
        monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
        (event,) = (await airflow.events(1)).values()

    assert event.payload["error"] == "VideoDBNoConnectionError"


async def test_nobody_judges_a_look_that_began_before_it_came(emulator):
    began, answered = threading.Event(), threading.Event()
    looks: list[int] = []

    def look(_: Any) -> int:
        looks.append(len(looks) + 1)
        began.set()
        answered.wait(10)
        return looks[-1]

    key = PollKey(look, "videodb_default", INTERVAL)

    async def first_seen() -> Any:
        return (await wait_for_event((key, lambda tick: {"saw": tick.value} if tick is not NO_RESULT else None)))["saw"]

    early = asyncio.create_task(first_seen())
    await asyncio.to_thread(began.wait, 10)
    late = asyncio.create_task(first_seen())
    await asyncio.sleep(0)
    answered.set()

    assert (await early, await late) == (1, 2)
    assert polls_here() == 0


async def seen_by(stream: Any, number: int) -> list[PollResult]:
    found: list[PollResult] = []
    while len(found) < number:
        snapshot = await anext(stream)
        if snapshot is not NO_RESULT:
            found.append(snapshot)
    return found


@pytest.mark.parametrize("read", [read_in_triggerer, read_in_worker])
@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        ({"password": "sk-test-another"}, True),
        ({"host": "http://127.0.0.1:10"}, True),
        ({"extra": {"timeout": 7}}, True),
        ({"extra": {"max_topup_amount": 7}}, False),
        ({"description": "in other words"}, False),
    ],
    ids=str,
)
async def test_account_is_another_where_the_way_to_it_is(monkeypatch, caplog, read, changed, is_another):
    connection = {"conn_type": "videodb", "host": "http://127.0.0.1:9", "password": "sk-test-no-account"}
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(connection))
    caplog.set_level("INFO", logger=polling.__name__)
    stream = poll("account", lambda client: client, interval=0.05, read_settings=read)
    (before,) = await seen_by(stream, 1)
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(connection | changed))
    after = (await seen_by(stream, 2))[-1]
    await stream.aclose()

    assert (before.value is not after.value) == is_another
    assert (before.account != after.account) == is_another
    assert ("Connection account was changed" in caplog.text) == is_another
    assert "sk-test" not in caplog.text


async def test_back_off_begins_anew_with_another_account(monkeypatch):
    connection = {"conn_type": "videodb", "host": "http://127.0.0.1:9", "password": "sk-test-no-account"}
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(connection))

    def look(_: Any) -> None:
        raise VideoDBServerError("down")

    stream = poll("account", look, interval=0.05)
    await seen_by(stream, 3)
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(connection | {"host": "http://127.0.0.1:10"}))
    # The pause after three failures is eight ticks, which the new account does not take over.
    assert (await anext(stream)).error is not None
    await stream.aclose()


@pytest.mark.parametrize("waiters", [1, 1000])
async def test_connection_is_read_as_often_for_a_thousand_waiters_as_for_one(emulator, waiters):
    reads: list[str] = []
    looks: list[int] = []

    async def read(conn_id: str) -> Any:
        reads.append(conn_id)
        return await read_in_triggerer(conn_id)

    key = PollKey(lambda _: looks.append(1), "videodb_default", INTERVAL, read)
    waits = [asyncio.create_task(wait_for_event((key, lambda _: {} if len(looks) > 3 else None))) for _ in range(waiters)]
    await asyncio.gather(*waits)

    assert len(reads) <= 2 * len(looks) + 1


async def test_reading_that_is_cancelled_ends_no_poll():
    outcomes: Any = iter([asyncio.CancelledError, SystemExit])

    async def read(conn_id: str) -> Any:
        raise next(outcomes, VideoDBServerError)("not now")

    stream = poll("account", lambda _: None, interval=0.05, read_settings=read)
    errors = [type(snapshot.error).__name__ for snapshot in await seen_by(stream, 3)]
    await stream.aclose()

    assert errors == ["VideoDBError", "SystemExit", "VideoDBServerError"]
