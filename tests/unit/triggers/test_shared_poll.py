"""Many waiting tasks in Airflow's own triggerer: what it costs, and that none of them is lost."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBAuthenticationError
from airflow_provider_videodb.triggers import _accounts as accounts
from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers import _shared_poll as sharing
from airflow_provider_videodb.triggers._base import MAX_CONSECUTIVE_FAILURES
from airflow_provider_videodb.triggers._shared_poll import PollKey, polls_here, wait_for_event
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from tests.conftest import API_KEY
from tests.support.records import purchase_of
from tests.support.triggerer import triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.triggers._poll import PollResult

pytestmark = pytest.mark.anyio

USAGE = "/billing/usage"
CHECKOUTS = "/billing/checkouts"
INTERVAL = 0.2
POLL_KEY = PollKey(lambda _: "seen", "videodb_default", INTERVAL)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The triggerer logs each start and end, thousands of lines here."""
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


async def polled(emulator: Emulator, times: int, path: str = USAGE) -> None:
    """Wait for so many more polls to be answered."""
    so_far = len(emulator.calls(path=path))
    await asyncio.to_thread(emulator.wait_for_calls, so_far + times, path=path, until=lambda call: call.done)


@pytest.mark.parametrize("waiters", [1, 50, 1000])
async def test_any_number_of_waiters_costs_one_poll_per_interval(emulator, waiters):
    async with triggerer() as airflow:
        await airflow.start(*[gate(threshold=str(10 + number % 3)) for number in range(waiters)])
        await polled(emulator, 1)
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


async def test_each_waiter_has_its_own_threshold_and_its_own_deadline(emulator):
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


async def test_accounts_intervals_and_kinds_are_polled_apart(emulator, second_account):
    checkout = {"purchase": purchase_of("cs_1"), "videodb_conn_id": "videodb_default", "poll_interval": INTERVAL}
    async with triggerer() as airflow:
        await airflow.start(gate(), gate(), gate(poll_interval=30), gate(videodb_conn_id="second"))
        await airflow.start(CheckoutTrigger(**checkout))
        await polled(second_account, 2)
        await polled(emulator, 2, "/billing/checkouts")
        assert airflow.polls == 4

        second_account.set_balance(10)
        (event,) = (await airflow.events(1)).values()
        assert event.payload["status"] == "enough"
        await airflow.until(lambda: airflow.polls == 3)


async def test_a_late_joiner_needs_no_poll_of_its_own(emulator):
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator, 2)
        (late,) = await airflow.start(gate(threshold="3"))

        assert set(await airflow.events(1)) == {late}
        assert airflow.polls == 1


async def test_no_waiter_is_lost_while_videodb_is_ill_and_the_log_says_it_once(emulator, caplog, monkeypatch):
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
    assert [text.partition("videodb_default")[2][:7] for text in told] == [" fails;", " works "]


async def test_an_api_that_stays_down_ends_every_wait_after_the_failures_it_was_given(emulator):
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    async with triggerer() as airflow:
        few = await airflow.start(*[gate(max_consecutive_failures=2) for _ in range(3)])
        events = await airflow.events(3)

        assert set(events) == set(few)
        assert {event.payload["error"] for event in events.values()} == {"VideoDBServerError"}
        assert len(emulator.calls()) <= 3


async def test_five_failures_outlast_ten_minutes_of_half_a_minute_each(emulator):
    emulator.add_fault("status", path=USAGE, times=None, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(poll_interval=0.1))
        (event,) = (await airflow.events(1)).values()

    assert event.payload["error"] == "VideoDBServerError"
    first, *_, last = emulator.calls()
    assert len(emulator.calls()) == MAX_CONSECUTIVE_FAILURES
    assert (last.wall_time - first.wall_time).total_seconds() / 0.1 > 10 * 60 / 30


async def test_a_refused_key_reaches_every_task_as_the_typed_error(emulator, monkeypatch):
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


async def test_a_new_key_in_the_connection_is_used_as_soon_as_the_old_one_is_refused(emulator, monkeypatch):
    async with triggerer() as airflow:
        waiting = await airflow.start(*[gate() for _ in range(20)])
        await polled(emulator, 1)
        emulator.change_settings(api_key="sk-the-new-one")
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", emulator.connection_json)
        await polled(emulator, 3)
        assert len(airflow.runner.triggers) == 20

        emulator.set_balance(10)
        assert set(await airflow.events(20)) == set(waiting)


async def test_a_connection_that_cannot_be_found_for_a_moment_ends_no_wait(emulator, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
    async with triggerer() as airflow:
        (waiting,) = await airflow.start(gate())
        await asyncio.sleep(2 * INTERVAL)
        assert len(airflow.runner.triggers) == 1

        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", emulator.connection_json)
        emulator.set_balance(10)
        assert set(await airflow.events(1)) == {waiting}


async def test_retry_after_is_kept_while_deadlines_go_on(emulator):
    emulator.add_fault("status", path=USAGE, times=1, status=429, retry_after="1")
    async with triggerer() as airflow:
        hasty, patient = await airflow.start(
            gate(deadline=time.time() + 0.4, max_consecutive_failures=1), gate(max_consecutive_failures=1)
        )
        events = await airflow.events(1)
        assert events[hasty].payload == {"status": "timeout", "usage": None}
        assert len(emulator.calls()) == 1

        emulator.set_balance(10)
        assert set(await airflow.events(2)) == {hasty, patient}
        limited, answered = emulator.calls()[:2]
        assert (answered.wall_time - limited.wall_time).total_seconds() >= 1


async def test_a_videodb_that_hangs_holds_up_neither_deadlines_nor_other_accounts(emulator, second_account):
    emulator.add_fault("hang", path=USAGE, times=None)
    second_account.set_balance(10)
    async with triggerer() as airflow:
        stuck, other = await airflow.start(gate(deadline=time.time() + 0.5), gate(videodb_conn_id="second"))
        began = time.monotonic()
        events = await airflow.events(2)

        assert events[other].payload["status"] == "enough"
        assert events[stuck].payload == {"status": "timeout", "usage": None}
        assert time.monotonic() - began < 3
        await airflow.idle(within=1)
        assert len(emulator.calls()) == 1


async def test_no_more_than_a_few_hundred_waiters_are_woken_in_one_step(emulator):
    waiters, woken = 3000, 0

    async def wait() -> None:
        nonlocal woken
        await wait_for_event((POLL_KEY, lambda tick: {"saw": tick.value}))
        woken += 1

    tasks = [asyncio.create_task(wait()) for _ in range(waiters)]
    at_each_step = [0]
    while woken < waiters:
        await asyncio.sleep(0)
        at_each_step.append(woken)

    await asyncio.gather(*tasks)
    assert max(later - earlier for earlier, later in pairwise(at_each_step)) <= 200


@pytest.mark.parametrize(("waiters", "collects"), [(5, True), (500, False)])
async def test_the_collector_rests_while_many_are_woken_and_then_goes_on(emulator, waiters, collects):
    during = []

    def judge(tick: PollResult) -> dict[str, Any]:
        during.append(gc.isenabled())
        return {"saw": tick.value}

    await asyncio.gather(*(wait_for_event((POLL_KEY, judge)) for _ in range(waiters)))

    assert set(during) == {collects}
    assert gc.isenabled()


async def test_a_collector_that_somebody_switched_off_stays_off(emulator):
    gc.disable()
    try:
        await asyncio.gather(*(wait_for_event((POLL_KEY, lambda tick: {"": tick})) for _ in range(500)))
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "error", [ValueError("not that"), StopIteration("not that"), asyncio.CancelledError("not that")]
)
async def test_what_one_waiter_cannot_judge_is_its_own_trouble(emulator, error):
    def broken(_: PollResult) -> None:
        raise error

    waits = [wait_for_event((POLL_KEY, judge)) for judge in (broken, lambda tick: {"saw": tick.value})]
    failed, fine = await asyncio.gather(*waits, return_exceptions=True)

    assert isinstance(failed, Exception)
    assert "not that" in str(failed)
    assert fine == {"saw": "seen"}
    assert polls_here() == 0


async def test_whoever_comes_after_a_poll_broke_gets_another(emulator, monkeypatch):
    async def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of threads")
        yield

    streams = iter([breaks])

    def first_breaks(*args: Any, **kwargs: Any) -> Any:
        return next(streams, polling.poll)(*args, **kwargs)

    monkeypatch.setattr(sharing, "poll", first_breaks)

    async def waits_twice() -> dict[str, Any]:
        with pytest.raises(RuntimeError):
            await wait_for_event((POLL_KEY, lambda _: None))
        # The other one has not left the broken poll yet.
        return await wait_for_event((POLL_KEY, lambda tick: {"saw": tick.value}))

    other = asyncio.create_task(wait_for_event((POLL_KEY, lambda _: None)))
    assert await asyncio.wait_for(waits_twice(), timeout=10) == {"saw": "seen"}
    assert isinstance(other.exception(), RuntimeError)


async def test_what_a_poll_logs_is_in_no_task_log(emulator):
    """The first to wait starts the poll, and may be gone long before the last."""
    bound = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            bound.append(structlog.contextvars.get_contextvars())

    handler = Seen()
    polling.log.addHandler(handler)
    emulator.add_fault("status", path=USAGE, times=1, status=503)
    try:
        async with triggerer() as airflow:
            await airflow.start(gate())
            await airflow.until(lambda: bound)
    finally:
        polling.log.removeHandler(handler)

    assert bound == [{}]


async def test_the_poll_stops_when_the_last_waiter_is_gone(emulator):
    async with triggerer() as airflow:
        first, last = await airflow.start(gate(), gate())
        await polled(emulator, 1)
        await airflow.cancel(first)
        await polled(emulator, 2)
        assert airflow.polls == 1

        await airflow.cancel(last)
        await airflow.idle()
        assert airflow.polls == 0
        after = len(emulator.calls())
        await asyncio.sleep(3 * INTERVAL)
        assert len(emulator.calls()) <= after + 1
        assert not airflow.failed


async def test_a_connection_that_was_emptied_ends_the_wait_with_what_to_do(emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(emulator.connection | {"password": ""}))
    async with triggerer() as airflow:
        await airflow.start(gate())
        (event,) = (await airflow.events(1)).values()

    assert event.payload["error"] == "VideoDBConfigError"
    assert "no password" in event.payload["message"]


async def test_arguments_of_another_version_fail_their_task_and_leave_the_triggerer_running(emulator):
    classpath, kwargs = gate(threshold="1").serialize()
    async with triggerer() as airflow:
        strange = await airflow.start_stored(classpath, kwargs | {"from_the_future": 1})
        await airflow.start_stored(classpath, kwargs)
        await airflow.idle()

        assert set(airflow.failed) == {strange}
        assert len(airflow.happened) == 1


async def test_many_payments_are_watched_with_one_poll_and_each_task_hears_of_its_own(emulator):
    made = [_checkout_made(emulator) for _ in range(20)]
    waits = [
        CheckoutTrigger(
            purchase=purchase_of(checkout_id),
            videodb_conn_id="videodb_default",
            poll_interval=INTERVAL,
            deadline=time.time() + 30,
        )
        for checkout_id in made
    ]
    async with triggerer() as airflow:
        ids = await airflow.start(*waits)
        await polled(emulator, 2, "/billing/checkouts")
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
        assert len(airflow.runner.triggers) == 18


def _checkout_made(emulator: Emulator) -> str:
    client = BillingClient(emulator.api_key, base_url=emulator.base_url)
    client.topup(50)
    return emulator.checkouts()[0].id
