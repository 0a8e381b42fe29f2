"""
One poll for all who wait in one event loop, which is that of a triggerer.

Airflow's own shared streams, from 3.3 on, wake every waiter at every tick, all in one step of the event loop. Here
nobody is woken before the wait is over: the poll shows each snapshot to one function per waiter, a hundred at a step,
and any Airflow has it.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing, contextmanager, nullcontext
from contextvars import Context
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.triggers.polling import Snapshot, snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.client import BillingClient

#: Waiters that are shown a snapshot, and may be woken by it, in one step of the event loop.
_WAITERS_PER_STEP = 100
#: Steps of the event loop that a waiter takes from being woken to having Airflow log its event.
_STEPS_TO_LOG = 3
_LONGEST_WAIT_FOR_LOGS = 1.0


class Question(NamedTuple):
    """What is polled: equal questions share one poll."""

    kind: str
    conn_id: str
    interval: float


async def verdict(
    question: Question,
    look: Callable[[BillingClient], Any],
    judge: Callable[[Snapshot], dict[str, Any] | None],
    *,
    not_before: float | None = None,
) -> dict[str, Any]:
    """
    Wait until ``judge`` has an answer to what the poll of ``question`` sees, and return it.

    :param look: asks VideoDB; the same for equal questions.
    :param judge: is shown each snapshot in turn; ``None`` waits on, and what it raises ends the wait.
    :param not_before: seconds since 1970, if VideoDB has asked to wait until then; a poll that runs knows by itself.
    """
    polls = _polls.setdefault(asyncio.get_running_loop(), {})
    poll = polls.get(question)
    if poll is None or poll.is_over:
        poll = polls[question] = _SharedPoll(question, look, not_before)
    try:
        return await poll.join(judge)
    finally:
        if poll.is_deserted:
            poll.stop()
            if polls.get(question) is poll:
                del polls[question]


def polls_here() -> int:
    """Return how many polls run in this event loop."""
    return len(_polls.get(asyncio.get_running_loop(), {}))


class _SharedPoll:
    def __init__(self, question: Question, look: Callable[[BillingClient], Any], not_before: float | None) -> None:
        self._question = question
        self._look = look
        self._not_before = not_before
        self._waiters: dict[asyncio.Future[dict[str, Any]], Callable[[Snapshot], dict[str, Any] | None]] = {}
        # A context of its own: what the poll logs is nobody's task log, least of all that of who came first.
        self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self._task.add_done_callback(self._release)

    @property
    def is_deserted(self) -> bool:
        return not self._waiters

    @property
    def is_over(self) -> bool:
        return self._task.done()

    async def join(self, judge: Callable[[Snapshot], dict[str, Any] | None]) -> dict[str, Any]:
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = judge
        try:
            return await waiter
        finally:
            del self._waiters[waiter]

    def stop(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        _, conn_id, interval = self._question
        stream = snapshots(conn_id, self._look, interval=interval, not_before=self._not_before)
        async with aclosing(stream):
            async for snapshot in stream:
                await self._show(snapshot)

    def _release(self, task: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a poll that is over, however it came to its end."""
        broke = None if task.cancelled() else task.exception()
        for waiter in self._waiters:
            _fail(waiter, broke or VideoDBError("The poll of VideoDB ended under a task that waits. Retry the task."))

    async def _show(self, snapshot: Snapshot) -> None:
        waiters = list(self._waiters.items())
        with _collector_at_rest() if len(waiters) > _WAITERS_PER_STEP else nullcontext():
            for start in range(0, len(waiters), _WAITERS_PER_STEP):
                woken = [_wake(waiter, judge, snapshot) for waiter, judge in waiters[start : start + _WAITERS_PER_STEP]]
                await asyncio.sleep(0)
                if any(woken):
                    await _until_logged()


def _wake(
    waiter: asyncio.Future[dict[str, Any]], judge: Callable[[Snapshot], dict[str, Any] | None], snapshot: Snapshot
) -> bool:
    """Show a waiter the snapshot, and say whether that ends its wait."""
    if waiter.done():
        return False
    try:
        answer = judge(snapshot)
    except Exception as err:  # noqa: BLE001 - it is this waiter's alone
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
    # Whoever else fills these threads must not keep the others from being woken.
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
    if not waiter.done():
        waiter.set_exception(err)


_polls: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Question, _SharedPoll]] = WeakKeyDictionary()
