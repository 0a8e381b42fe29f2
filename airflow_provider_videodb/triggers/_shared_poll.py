"""
One poll for all who wait in one event loop, which is that of a triggerer.

Airflow's own shared streams, from 3.3 on, wake every waiter at every tick, all in one step of the event loop. Here
nobody is woken before the wait is over: the poll shows each snapshot to one function per waiter, a hundred at a step,
and any Airflow has it.
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
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult, snapshots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.hooks.connection import ConnectionSettings
    from airflow_provider_videodb.triggers._pauses import Pause

    Judge = Callable[[PollResult], dict[str, Any] | None]

#: Waiters that are shown a snapshot, and may be woken by it, in one step of the event loop.
_WAITERS_PER_STEP = 100
#: Steps of the event loop that a waiter takes from being woken to having Airflow log its event.
_STEPS_TO_LOG = 3
_LONGEST_WAIT_FOR_LOGS = 1.0


class Question(NamedTuple):
    """
    What is polled: equal questions share one poll.

    :param look: asks VideoDB.
    :param conn_id: the connection. Which account it names is read at each look.
    :param interval: seconds between looks.
    :param read: reads the connection, see :func:`~airflow_provider_videodb.triggers._poll.snapshots`.
    """

    look: Callable[[BillingClient], Any]
    conn_id: str
    interval: float
    read: Callable[[str], Awaitable[ConnectionSettings]] = read_in_triggerer


async def verdict(*watches: tuple[Question, Judge], pause: Pause | None = None) -> dict[str, Any]:
    """
    Wait until one of the ``watches`` has an answer to what the poll of its question sees, and return it.

    Each judges only what began to be looked at after this call: an answer under way is older than the question.

    :param watches: a question and what judges each snapshot of its poll in turn; ``None`` waits on, and what it
        raises ends the wait.
    :param pause: how long VideoDB has asked to wait; a poll that runs knows by itself.
    """
    polls = _polls.setdefault(asyncio.get_running_loop(), {})
    waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    joined: list[_SharedPoll] = []
    try:
        for question, judge in watches:
            poll = polls.get(question)
            if poll is None or poll.is_over:
                poll = polls[question] = _SharedPoll(question, pause)
            poll.join(waiter, judge)
            joined.append(poll)
        return await waiter
    finally:
        for poll in joined:
            poll.leave(waiter)
            if poll.is_deserted:
                poll.stop()
                if polls.get(poll.question) is poll:
                    del polls[poll.question]


def polls_here() -> int:
    """Return how many polls run in this event loop."""
    return len(_polls.get(asyncio.get_running_loop(), {}))


class _Seat(NamedTuple):
    judge: Judge
    since: float


class _SharedPoll:
    def __init__(self, question: Question, pause: Pause | None) -> None:
        self.question = question
        self._pause = pause
        self._waiters: dict[asyncio.Future[dict[str, Any]], _Seat] = {}
        # A context of its own: what the poll logs is nobody's task log, least of all that of who came first.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self._task.add_done_callback(self._release)

    @property
    def is_deserted(self) -> bool:
        return not self._waiters

    @property
    def is_over(self) -> bool:
        return self._task.done()

    def join(self, waiter: asyncio.Future[dict[str, Any]], judge: Judge) -> None:
        self._waiters[waiter] = _Seat(judge, time.monotonic())

    def leave(self, waiter: asyncio.Future[dict[str, Any]]) -> None:
        del self._waiters[waiter]

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        look, conn_id, interval, read = self.question
        stream = snapshots(conn_id, look, interval=interval, pause=self._pause, read=read)
        async with aclosing(stream):
            async for snapshot in stream:
                await self._show(snapshot)

    def _release(self, task: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a poll that is over, however it came to its end."""
        broke = None if task.cancelled() else task.exception()
        for waiter in self._waiters:
            _fail(waiter, broke or VideoDBError("The poll of VideoDB ended under a task that waits. Retry the task."))

    async def _show(self, snapshot: PollResult) -> None:
        waiters = list(self._waiters.items())
        with _collector_at_rest() if len(waiters) > _WAITERS_PER_STEP else nullcontext():
            for start in range(0, len(waiters), _WAITERS_PER_STEP):
                woken = [_wake(waiter, seat, snapshot) for waiter, seat in waiters[start : start + _WAITERS_PER_STEP]]
                await asyncio.sleep(0)
                if any(woken):
                    await _until_logged()


def _wake(waiter: asyncio.Future[dict[str, Any]], seat: _Seat, snapshot: PollResult) -> bool:
    """Show a waiter the snapshot, and say whether that ends its wait."""
    if waiter.done():
        return False
    try:
        answer = seat.judge(snapshot if snapshot.began > seat.since else NO_RESULT)
    except (Exception, asyncio.CancelledError) as err:  # noqa: BLE001 - it is this waiter's alone
        _fail(waiter, err)
        return True
    if answer is not None:
        waiter.set_result(answer)
    return answer is not None


async def _until_logged() -> None:
    """
    Wait until Airflow has logged the events of those who were just woken.

    It does so in the threads of the loop's own executor, one call after the other. Thousands of calls that wait there
    slow each other down, and would be many more objects for the collector to visit.
    """
    for _ in range(_STEPS_TO_LOG):
        await asyncio.sleep(0)
    # Whoever else fills these threads must not keep the others from being woken, nor must one that cannot be started.
    with suppress(RuntimeError):
        await asyncio.wait({asyncio.get_running_loop().run_in_executor(None, int)}, timeout=_LONGEST_WAIT_FOR_LOGS)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """
    Keep Python's collector out of the steps in which many waiters are woken.

    It would visit all that Airflow holds for each of them, in one step that takes longer than all the others.
    Afterwards most of that is gone.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fail(waiter: asyncio.Future[dict[str, Any]], err: BaseException) -> None:
    if isinstance(err, StopIteration | asyncio.CancelledError):
        # A future takes the one for an end and refuses the other: neither would reach the task.
        err = RuntimeError(describe(err))
    if not waiter.done():
        waiter.set_exception(err)


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Question, _SharedPoll]] = WeakKeyDictionary()
