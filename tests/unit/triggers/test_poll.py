"""The loop that looks at one account: when it looks, what it yields, and that nothing ends or blocks it."""

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
from airflow_provider_videodb.triggers import _accounts as accounts
from airflow_provider_videodb.triggers import _poll as polling
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult, poll

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

# Nobody listens there: what is looked at is each test's own function.
CONNECTION = {"conn_type": "videodb", "host": "http://127.0.0.1:9", "password": "sk-no-account"}


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION))


async def looks_of(look: Callable[[Any], Any], number: int, *, interval: float = 0.05) -> list[PollResult]:
    """Return what so many looks saw, whatever ticks come between them."""
    found: list[PollResult] = []
    async with aclosing(poll("account", look, interval=interval)) as stream:
        while len(found) < number:
            snapshot = await anext(stream)
            if snapshot is not NO_RESULT:
                found.append(snapshot)
    return found


def answers(*outcomes: Any) -> Callable[[Any], Any]:
    """Make a look that returns, or raises, one outcome after the other."""
    remaining = iter(outcomes)

    def look(_: Any) -> Any:
        outcome = next(remaining)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return look


async def test_it_looks_again_and_again():
    seen = [snapshot.value for snapshot in await looks_of(answers(1, 2, 3), 3)]

    assert seen == [1, 2, 3]


async def test_it_keeps_its_connection_to_videodb_from_look_to_look():
    first, second = await looks_of(lambda client: client, 2)

    assert first.value is second.value


async def test_no_error_ends_it():
    errors = [VideoDBServerError("one"), ValueError("two"), VideoDBConfigError("three")]

    *failed, last = await looks_of(answers(*errors, 4), 4)

    assert [snapshot.error for snapshot in failed] == errors
    assert last == PollResult(value=4)


async def test_a_slow_answer_does_not_stretch_the_interval():
    looks = []

    def look(_: Any) -> None:
        looks.append(time.monotonic())
        time.sleep(0.15)

    await looks_of(look, 4, interval=0.2)

    assert looks[3] - looks[0] == pytest.approx(0.6, abs=0.1)


async def test_waiters_are_ticked_while_a_look_hangs_and_no_second_one_is_started():
    answered, started = threading.Event(), count()

    def look(_: Any) -> str:
        next(started)
        answered.wait(10)
        return "at last"

    async with aclosing(poll("account", look, interval=0.05)) as stream:
        assert [await anext(stream) for _ in range(3)] == [NO_RESULT] * 3
        answered.set()
        while (snapshot := await anext(stream)) is NO_RESULT:
            pass

    assert snapshot.value == "at last"
    assert next(started) == 1


async def test_a_hanging_look_neither_blocks_the_loop_nor_the_end():
    release = threading.Event()
    try:
        began = time.monotonic()
        async with aclosing(poll("account", lambda _: release.wait(10), interval=0.05)) as stream:
            assert [await anext(stream) for _ in range(2)] == [NO_RESULT] * 2
        assert time.monotonic() - began < 2
    finally:
        release.set()


async def test_a_slow_account_delays_no_other():
    accounts = 40
    # Nobody gets past it before all are there: with fewer threads than accounts it breaks.
    together = threading.Barrier(accounts, timeout=10)

    looks = await asyncio.gather(*(looks_of(lambda _: together.wait(), 1, interval=10) for _ in range(accounts)))

    assert all(snapshot.error is None for (snapshot,) in looks)


async def test_it_waits_as_long_as_videodb_asks_and_ticks_meanwhile():
    slow_down = VideoDBRateLimitError("slow down", retry_after=0.3)
    async with aclosing(poll("account", answers(slow_down, "go on"), interval=0.05)) as stream:
        while (await anext(stream)).error is not slow_down:
            pass
        asked, between = time.monotonic(), 0
        while (await anext(stream)) is NO_RESULT:
            between += 1

    assert time.monotonic() - asked >= 0.3
    assert between > 1


@pytest.mark.parametrize("error", [VideoDBServerError("down"), VideoDBRateLimitError("slow down")])
async def test_while_looks_fail_each_pause_is_twice_as_long_as_the_one_before(error):
    outcomes = answers(error, error, error, error, 5, 6, error, 8)
    ticks_between, ticks = [], 0
    async with aclosing(poll("account", outcomes, interval=0.1)) as stream:
        while len(ticks_between) < 8:
            ticks += 1
            if (await anext(stream)) is not NO_RESULT:
                ticks_between.append(ticks)
                ticks = 0

    assert ticks_between[1:] == [2, 4, 8, 16, 1, 1, 2]


async def test_no_pause_that_failures_lead_to_is_longer_than_the_longest(monkeypatch):
    monkeypatch.setattr(accounts, "LONGEST_PAUSE", 0.2)
    began = time.monotonic()

    await looks_of(answers(*[VideoDBServerError("down")] * 7), 7, interval=0.05)

    assert 0.1 + 5 * 0.2 <= time.monotonic() - began + 0.1 < 2


async def test_first_looks_of_many_polls_are_spread():
    times: list[float] = []
    began = time.monotonic()

    await asyncio.gather(*(looks_of(lambda _: times.append(time.monotonic()), 1, interval=1) for _ in range(40)))

    halves = [looked - began < 0.5 for looked in times]
    assert min(halves.count(True), halves.count(False)) > 4


async def test_the_first_look_at_a_rare_poll_comes_soon(monkeypatch):
    monkeypatch.setattr(polling, "SPREAD", 0.1)
    began = time.monotonic()

    await looks_of(answers("seen"), 1, interval=3600)

    assert time.monotonic() - began < 5


async def test_a_poke_interval_of_zero_does_not_spin(monkeypatch):
    looks = count()

    async def poll_for_ever() -> None:
        async for _ in poll("account", lambda _: next(looks), interval=0):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(poll_for_ever(), timeout=0.5)

    assert next(looks) <= 0.5 / polling.SHORTEST_INTERVAL + 1


async def test_a_connection_that_cannot_be_read_is_read_again(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION | {"password": ""}))
    async with aclosing(poll("account", answers("seen"), interval=0.5)) as stream:
        refused = (await anext(stream)).error
        assert isinstance(refused, VideoDBConfigError)
        assert "password" in str(refused)

        monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(CONNECTION))
        while (read := await anext(stream)) is NO_RESULT:
            pass
        assert read == PollResult(value="seen")


async def test_the_log_tells_each_change_of_state_once(caplog):
    caplog.set_level("INFO", logger=polling.__name__)
    down, other = VideoDBServerError("down"), VideoDBRateLimitError("slow down")

    await looks_of(answers(1, down, down, other, down, 2, 3, down), 8)

    told = [record.getMessage() for record in caplog.records if record.name == polling.__name__]
    assert told == [
        "Polling VideoDB for connection account fails; waiting goes on: down",
        "Polling VideoDB for connection account works again.",
        "Polling VideoDB for connection account fails; waiting goes on: down",
    ]


async def test_it_leaves_no_thread_behind():
    await looks_of(answers(1), 1)

    for thread in threading.enumerate():
        if thread.name.startswith("videodb-account"):
            thread.join(5)
            assert not thread.is_alive()
