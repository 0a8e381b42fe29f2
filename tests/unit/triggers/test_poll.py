"""When an account is polled, what a poll yields, and that nothing ends or blocks it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBRateLimitError,
    VideoDBServerError,
)
from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult, poll

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

# Nothing listens there, because each test has its own function to fetch with.
CONNECTION = {"conn_type": "videodb", "host": "http://127.0.0.1:9", "password": "sk-no-account"}


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION))


async def results_of(fetch: Callable[[Any], Any], number: int, *, interval: float = 0.05) -> list[PollResult]:
    """Return that many results, without the ticks between them."""
    found: list[PollResult] = []
    async with aclosing(poll("account", fetch, interval=interval)) as stream:
        while len(found) < number:
            result = await anext(stream)
            if result is not NO_RESULT:
                found.append(result)
    return found


def responses(*outcomes: Any) -> Callable[[Any], Any]:
    """Return a function that returns, or raises, one outcome after the other."""
    remaining = iter(outcomes)

    def fetch(_: Any) -> Any:
        outcome = next(remaining)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return fetch


async def test_poll_goes_on_until_it_is_stopped():
    seen = [result.value for result in await results_of(responses(1, 2, 3), 3)]

    assert seen == [1, 2, 3]


async def test_poll_keeps_its_http_connection():
    first, second = await results_of(lambda client: client, 2)

    assert first.value is second.value


async def test_error_does_not_end_the_poll():
    errors = [VideoDBServerError("one"), ValueError("two"), VideoDBConfigError("three")]

    *failed, last = await results_of(responses(*errors, 4), 4)

    assert [result.error for result in failed] == errors
    assert last == PollResult(value=4)


async def test_slow_response_does_not_stretch_the_interval():
    polls = []

    def fetch(_: Any) -> None:
        polls.append(time.monotonic())
        time.sleep(0.4)

    await results_of(fetch, 4, interval=0.5)

    # Three times 0.9 s if the interval began only after the response.
    assert polls[3] - polls[0] < 2.4


async def test_hanging_poll_ticks_and_starts_no_second_one():
    answered, started = threading.Event(), count()

    def fetch(_: Any) -> str:
        next(started)
        answered.wait(10)
        return "at last"

    async with aclosing(poll("account", fetch, interval=0.05)) as stream:
        assert [await anext(stream) for _ in range(3)] == [NO_RESULT] * 3
        answered.set()
        while (result := await anext(stream)) is NO_RESULT:
            pass

    assert result.value == "at last"
    assert next(started) == 1


async def test_hanging_poll_blocks_neither_the_loop_nor_the_end():
    release = threading.Event()
    try:
        began = time.monotonic()
        async with aclosing(poll("account", lambda _: release.wait(10), interval=0.05)) as stream:
            assert [await anext(stream) for _ in range(2)] == [NO_RESULT] * 2
        assert time.monotonic() - began < 2
    finally:
        release.set()


async def test_slow_account_delays_no_other():
    accounts = 40
    # It opens when all are there, so it breaks with fewer threads than accounts.
    together = threading.Barrier(accounts, timeout=10)

    results = await asyncio.gather(*(results_of(lambda _: together.wait(), 1, interval=10) for _ in range(accounts)))

    assert all(result.error is None for (result,) in results)


async def test_poll_waits_as_long_as_videodb_asks_and_ticks():
    slow_down = VideoDBRateLimitError("slow down", retry_after=0.3)
    async with aclosing(poll("account", responses(slow_down, "go on"), interval=0.05)) as stream:
        while (await anext(stream)).error is not slow_down:
            pass
        asked, between = time.monotonic(), 0
        while (await anext(stream)) is NO_RESULT:
            between += 1

    assert time.monotonic() - asked >= 0.3
    assert between > 1


async def test_first_polls_of_many_accounts_are_spread():
    times: list[float] = []
    began = time.monotonic()

    await asyncio.gather(*(results_of(lambda _: times.append(time.monotonic()), 1, interval=1) for _ in range(40)))

    halves = [polled - began < 0.5 for polled in times]
    assert min(halves.count(True), halves.count(False)) > 4


async def test_first_poll_comes_soon_despite_a_long_interval(monkeypatch):
    monkeypatch.setattr(polling, "SPREAD", 0.1)
    began = time.monotonic()

    await results_of(responses("seen"), 1, interval=3600)

    assert time.monotonic() - began < 5


async def test_interval_of_zero_does_not_spin(monkeypatch):
    polls = count()

    async def poll_without_end() -> None:
        async for _ in poll("account", lambda _: next(polls), interval=0):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(poll_without_end(), timeout=0.5)

    assert next(polls) <= 0.5 / polling.SHORTEST_INTERVAL + 1


async def test_connection_that_cannot_be_read_is_read_again(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION | {"password": ""}))
    async with aclosing(poll("account", responses("seen"), interval=0.5)) as stream:
        refused = (await anext(stream)).error
        assert isinstance(refused, VideoDBConfigError)
        assert "password" in str(refused)

        monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION))
        while (read := await anext(stream)) is NO_RESULT:
            pass
        assert read == PollResult(value="seen")


async def test_log_names_each_change_once(caplog):
    caplog.set_level("INFO", logger=polling.__name__)
    down, other = VideoDBServerError("down"), VideoDBRateLimitError("slow down")

    await results_of(responses(1, down, down, other, down, 2, 3, down), 8)

    told = [record.getMessage() for record in caplog.records if record.name == polling.__name__]
    assert told == [
        "VideoDB cannot be polled (connection account). Tasks keep waiting. down",
        "VideoDB can be polled again (connection account).",
        "VideoDB cannot be polled (connection account). Tasks keep waiting. down",
    ]


async def test_poll_leaves_no_thread_behind():
    await results_of(responses(1), 1)

    for thread in threading.enumerate():
        if thread.name.startswith("videodb-account"):
            thread.join(5)
            assert not thread.is_alive()
