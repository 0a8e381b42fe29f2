"""Sharing one poll: who shares it, who wakes up when, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers import _shared_poll as sharing
from airflow_provider_videodb.triggers._poll import NO_RESULT
from airflow_provider_videodb.triggers._shared_poll import PollKey, polls_here, wait_for_event
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.records import purchase_of
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from airflow_provider_videodb.triggers._poll import PollResult

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("emulator")]

INTERVAL = 0.1
KEY = PollKey(lambda _: "seen", "videodb_default", INTERVAL)


def value_of(result: PollResult) -> dict[str, Any] | None:
    return None if result is NO_RESULT else {"saw": result.value}


def gate(**arguments: Any) -> CreditThresholdTrigger:
    usual = {"threshold": 10, "videodb_conn_id": "videodb_default", "poll_interval": INTERVAL}
    return CreditThresholdTrigger(**usual | arguments)


async def test_poll_is_shared_by_connection_interval_and_kind(emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SECOND", emulator.connection_json)
    async with triggerer() as airflow:
        await airflow.start(gate(), gate(threshold="50", soft_fail=True, max_consecutive_failures=9, timeout=60.0))
        await airflow.until(lambda: airflow.polls == 1)

        others = [gate(poll_interval=30), gate(videodb_conn_id="second")]
        payment = CheckoutTrigger(
            purchase=purchase_of("cs_1"), videodb_conn_id="videodb_default", poll_interval=INTERVAL
        )
        await airflow.start(*others, payment)
        await airflow.until(lambda: airflow.polls == 4)


async def test_running_poll_does_not_count_for_a_newcomer():
    began, answered = threading.Event(), threading.Event()
    polls: list[int] = []

    def fetch(_: Any) -> int:
        polls.append(len(polls) + 1)
        began.set()
        answered.wait(10)
        return polls[-1]

    key = PollKey(fetch, "videodb_default", INTERVAL)
    early = asyncio.create_task(wait_for_event((key, value_of)))
    await asyncio.to_thread(began.wait, 10)
    late = asyncio.create_task(wait_for_event((key, value_of)))
    await asyncio.sleep(0)
    answered.set()

    assert await asyncio.gather(early, late) == [{"saw": 1}, {"saw": 2}]
    assert polls_here() == 0


async def test_few_waiters_wake_up_in_each_step_of_the_loop():
    waiters, woken = 3000, 0

    async def wait() -> None:
        nonlocal woken
        await wait_for_event((KEY, value_of))
        woken += 1

    tasks = [asyncio.create_task(wait()) for _ in range(waiters)]
    at_each_step = [0]
    while woken < waiters:
        await asyncio.sleep(0)
        at_each_step.append(woken)

    await asyncio.gather(*tasks)
    assert max(later - earlier for earlier, later in pairwise(at_each_step)) <= 200


@pytest.mark.parametrize(("waiters", "collects"), [(5, True), (500, False)])
async def test_collector_is_off_only_while_many_wake_up(waiters, collects):
    during = []

    def on_poll_result(result: PollResult) -> dict[str, Any]:
        during.append(gc.isenabled())
        return {"saw": result.value}

    await asyncio.gather(*(wait_for_event((KEY, on_poll_result)) for _ in range(waiters)))

    assert set(during) == {collects}
    assert gc.isenabled()


async def test_collector_that_was_off_stays_off():
    gc.disable()
    try:
        await asyncio.gather(*(wait_for_event((KEY, value_of)) for _ in range(500)))
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "error", [ValueError("not that"), StopIteration("not that"), asyncio.CancelledError("not that")]
)
async def test_error_of_one_waiter_concerns_no_other(error):
    def broken(_: PollResult) -> None:
        raise error

    waits = [wait_for_event((KEY, on_poll_result)) for on_poll_result in (broken, value_of)]
    failed, fine = await asyncio.gather(*waits, return_exceptions=True)

    assert isinstance(failed, Exception)
    assert "not that" in str(failed)
    assert fine == {"saw": "seen"}
    assert polls_here() == 0


async def test_newcomer_after_a_broken_poll_gets_another(monkeypatch):
    async def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of threads")
        yield

    polls = iter([breaks])

    def first_breaks(*args: Any, **kwargs: Any) -> Any:
        return next(polls, polling.poll)(*args, **kwargs)

    monkeypatch.setattr(sharing, "poll", first_breaks)

    async def waits_twice() -> dict[str, Any]:
        with pytest.raises(RuntimeError):
            await wait_for_event((KEY, lambda _: None))
        # The other waiter has not left the broken poll yet.
        return await wait_for_event((KEY, value_of))

    other = asyncio.create_task(wait_for_event((KEY, lambda _: None)))
    assert await asyncio.wait_for(waits_twice(), timeout=10) == {"saw": "seen"}
    assert isinstance(other.exception(), RuntimeError)


async def test_poll_logs_nothing_into_the_log_of_a_task(emulator):
    # The task that comes first starts the poll, which may outlive it.
    bound = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            bound.append(structlog.contextvars.get_contextvars())

    handler = Seen()
    polling.log.addHandler(handler)
    emulator.add_fault("status", path="/billing/usage", times=1, status=503)
    try:
        async with triggerer() as airflow:
            await airflow.start(gate())
            await airflow.until(lambda: bound)
    finally:
        polling.log.removeHandler(handler)

    assert bound == [{}]


async def test_poll_stops_when_the_last_waiter_leaves(emulator):
    async with triggerer() as airflow:
        first, last = await airflow.start(gate(), gate())
        await polled(emulator)
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
