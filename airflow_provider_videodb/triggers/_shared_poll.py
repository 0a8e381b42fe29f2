"""
Shares one poll among all triggers of an event loop.

Airflow's own shared streams (3.3 and later) wake every waiting trigger on every tick, all in one step of the event
loop. Here the poll calls one function per trigger, a hundred per step, and wakes a trigger only when its wait is over.
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import aclosing, contextmanager, nullcontext, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.triggers._accounts import read_in_triggerer
from airflow_provider_videodb.triggers._encoding import describe
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult, poll
from airflow_provider_videodb.triggers._poll_metrics import PollKind, count_waiting, record_tick

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from airflow_provider_videodb.hooks.connection import ConnectionSettings
    from airflow_provider_videodb.triggers._accounts import Account
    from airflow_provider_videodb.triggers._pauses import Pause

    #: Returns the event that ends the wait, or ``None``.
    OnPollResult = Callable[[PollResult], dict[str, Any] | None]

#: Triggers that are shown a result, and may wake up, in one step of the event loop.
_WAITERS_PER_STEP = 100
#: Steps of the event loop between the moment a trigger wakes up and the moment Airflow logs its event.
_STEPS_TO_LOG = 3
_LONGEST_WAIT_FOR_LOGS = 1.0


class PollKey(NamedTuple):
    """
    Identifies a poll: triggers with equal keys share one.

    :param fetch: sends the request.
    :param conn_id: id of the Airflow connection. Each poll reads anew which account it names.
    :param interval: seconds between polls.
    :param read_settings: reads the connection, see :func:`~airflow_provider_videodb.triggers._poll.poll`.
    :param kind: what the metrics call this poll.
    """

    fetch: Callable[[Account], Any]
    conn_id: str
    interval: float
    read_settings: Callable[[str], Awaitable[ConnectionSettings]] = read_in_triggerer
    kind: PollKind = PollKind.BALANCE


async def wait_for_event(*watches: tuple[PollKey, OnPollResult], pause: Pause | None = None) -> dict[str, Any]:
    """
    Wait until a poll result ends the wait, and return its event.

    Only polls that began after this call count, because an older one may have read an older state.

    :param watches: polls, each with the function that is called on every tick. If that function raises, the error ends
        the wait.
    :param pause: how long VideoDB has asked to wait. A running poll knows this already.
    """
    loop = asyncio.get_running_loop()
    polls = _polls.setdefault(loop, {})
    waiter: asyncio.Future[dict[str, Any]] = loop.create_future()
    joined: list[_SharedPoll] = []
    try:
        for key, on_poll_result in watches:
            shared = polls.get(key)
            if shared is None or shared.task.done():
                shared = polls[key] = _SharedPoll(key, pause)
            shared.waiters[waiter] = _Waiter(on_poll_result, time.monotonic())
            joined.append(shared)
        with count_waiting([key for key, _ in watches]):
            return await waiter
    finally:
        for shared in joined:
            del shared.waiters[waiter]
            if not shared.waiters:
                shared.task.cancel()
                if polls.get(shared.key) is shared:
                    del polls[shared.key]


def polls_here() -> int:
    """Return how many polls run on this event loop."""
    return len(_polls.get(asyncio.get_running_loop(), {}))


class _Waiter(NamedTuple):
    on_poll_result: OnPollResult
    since: float


class _SharedPoll:
    def __init__(self, key: PollKey, pause: Pause | None) -> None:
        self.key = key
        self._pause = pause
        self.waiters: dict[asyncio.Future[dict[str, Any]], _Waiter] = {}
        # An empty context keeps what the poll logs out of the log of the task that came first.
        self.task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self.task.add_done_callback(self._fail_all)

    async def _run(self) -> None:
        fetch, conn_id, interval, read_settings, kind = self.key
        results = poll(conn_id, fetch, interval=interval, pause=self._pause, read_settings=read_settings)
        async with aclosing(results):
            async for result in results:
                record_tick(conn_id, kind, result)
                await self._show(result)

    def _fail_all(self, task: asyncio.Task[None]) -> None:
        """Fail the waiting triggers, because their poll has ended."""
        error = None if task.cancelled() else task.exception()
        text = "The poll of VideoDB ended early. The task did not continue. Next step: retry the task."
        for waiter in self.waiters:
            _fail(waiter, error or VideoDBError(text))

    async def _show(self, result: PollResult) -> None:
        waiters = list(self.waiters.items())
        with _without_collector() if len(waiters) > _WAITERS_PER_STEP else nullcontext():
            for start in range(0, len(waiters), _WAITERS_PER_STEP):
                woken = [_wake(future, waiter, result) for future, waiter in waiters[start : start + _WAITERS_PER_STEP]]
                await asyncio.sleep(0)
                if any(woken):
                    await _until_logged()


def _wake(future: asyncio.Future[dict[str, Any]], waiter: _Waiter, result: PollResult) -> bool:
    """Show one trigger the result, and say whether that ends its wait."""
    if future.done():
        return False
    try:
        event = waiter.on_poll_result(result if result.began > waiter.since else NO_RESULT)
    except (Exception, asyncio.CancelledError) as err:  # noqa: BLE001 - the error concerns this trigger only
        _fail(future, err)
        return True
    if event is not None:
        future.set_result(event)
    return event is not None


async def _until_logged() -> None:
    """
    Wait until Airflow has logged the events of the triggers that just woke up.

    Airflow logs in the threads of the loop's default executor. Thousands of calls in its queue would slow each other
    down and keep many objects alive.
    """
    for _ in range(_STEPS_TO_LOG):
        await asyncio.sleep(0)
    # Other code may fill these threads, or the executor may be shut down. Neither may delay the other triggers.
    with suppress(RuntimeError):
        await asyncio.wait({asyncio.get_running_loop().run_in_executor(None, int)}, timeout=_LONGEST_WAIT_FOR_LOGS)


@contextmanager
def _without_collector() -> Iterator[None]:
    """
    Keep Python's garbage collector off while many triggers wake up.

    Waking 10,000 triggers would start a full collection, which visits all objects of the triggerer and blocks the
    event loop for 0.36 s. With the collector off, the longest collection takes 0.05 s (docs/benchmarks.md).
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fail(future: asyncio.Future[dict[str, Any]], err: BaseException) -> None:
    if isinstance(err, StopIteration | asyncio.CancelledError):
        # A future rejects a StopIteration, and a CancelledError would look like the end of the task.
        err = RuntimeError(describe(err))
    if not future.done():
        future.set_exception(err)


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[PollKey, _SharedPoll]] = WeakKeyDictionary()
