"""Looking again and again at the account that a connection names. Knows nothing of tasks, nor of who else waits."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.triggers._accounts import Account, Backoff, read_in_triggerer
from airflow_provider_videodb.triggers._encoding import clean, describe
from airflow_provider_videodb.triggers._pauses import mark_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.hooks.connection import ConnectionSettings
    from airflow_provider_videodb.triggers._pauses import Pause

log = logging.getLogger(__name__)

#: Airflow's sensors may poke without a pause; the event loop of all triggers must not spin for it.
SHORTEST_INTERVAL = 0.05
#: Seconds over which the first looks of many polls are spread, as when a triggerer starts with a hundred accounts.
SPREAD = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PollResult:
    """
    What one look saw: the answer, or the error that came instead of it.

    :param began: when the look began, by the clock of the process; whoever came later must not judge by it.
    :param account: the number of the account that was looked at; ``None`` where the connection could not be read.
    """

    seen: Any = None
    error: BaseException | None = None
    began: float = field(default=math.inf, compare=False)
    account: int | None = field(default=None, compare=False)


#: A tick without a look: one is still under way, or VideoDB asked to wait. It is there to be reminded of the time.
NO_RESULT = PollResult()


async def snapshots(
    conn_id: str,
    look: Callable[[BillingClient], Any],
    *,
    interval: float,
    pause: Pause | None = None,
    read: Callable[[str], Awaitable[ConnectionSettings]] = read_in_triggerer,
) -> AsyncGenerator[PollResult, None]:
    """
    Look at most once per ``interval`` and yield at every tick, whatever happens, until the caller stops it.

    The first look is delayed by a random part of the interval. While looks fail, each pause is twice as long as the
    one before; being asked to wait is obeyed. A poll that yielded nothing meanwhile would keep the waiters from
    noticing that their time is up.

    The connection is read before each look, and again before its answer is shown. So a connection that is pointed at
    another account takes effect at once: no answer of the old one is shown after that, and neither its failures nor
    its pauses count for the new one.

    :param pause: how long VideoDB asked a worker to wait, just before.
    :param read: reads the connection in the kind of process that this is.
    """
    interval = max(interval, SHORTEST_INTERVAL)
    poll = _Poll(conn_id, look, interval, pause=pause, read=read)
    try:
        await asyncio.sleep(random.uniform(0, min(interval, SPREAD)))  # noqa: S311 - no secret hangs on it
        while True:
            next_tick = time.monotonic() + interval
            yield await poll.tick(within=interval)
            await asyncio.sleep(next_tick - time.monotonic())
    finally:
        poll.stop()


class _Poll:
    """One look at a time, at the account that the connection names."""

    def __init__(
        self,
        conn_id: str,
        look: Callable[[BillingClient], Any],
        interval: float,
        *,
        pause: Pause | None,
        read: Callable[[str], Awaitable[ConnectionSettings]],
    ) -> None:
        self._conn_id = conn_id
        self._look = look
        self._interval = interval
        self._pause = pause
        self._read = read
        self._numbers = itertools.count(1)
        self._account: Account | None = None
        self._reading = Backoff(interval)
        self._under_way: asyncio.Task[PollResult] | None = None
        self._fails = False

    async def tick(self, *, within: float) -> PollResult:
        """Return what a look saw, if one came to an end within so many seconds."""
        if self._under_way is None:
            began = time.monotonic()
            if began < self._reading.not_before:
                return NO_RESULT
            self._under_way = asyncio.create_task(self._snapshot(began))
        await asyncio.wait({self._under_way}, timeout=within)
        if not self._under_way.done():
            return NO_RESULT
        ended, self._under_way = self._under_way, None
        if ended.cancelled():
            # Not by us: whatever reads the connection gave up.
            return PollResult(error=VideoDBError("Reading the connection was cancelled."))
        snapshot = ended.result()
        if snapshot is not NO_RESULT:
            self._log_change(snapshot.error)
        return snapshot

    def stop(self) -> None:
        """Stop without waiting for a look that is under way: this runs in the event loop."""
        if self._under_way is not None:
            self._under_way.cancel()
        if self._account is not None:
            self._account.stop()

    async def _snapshot(self, began: float) -> PollResult:
        try:
            account = await self._named()
            if began < account.backoff.not_before:
                return NO_RESULT
            return await self._ask(account, began)
        except (Exception, SystemExit) as err:  # noqa: BLE001 - whatever it is, the waiters are told
            # The connection could not be read: neither the account that it named before nor any other is asked.
            self._reading.failed(err, began=began)
            return PollResult(error=err, began=began)

    async def _ask(self, account: Account, began: float) -> PollResult:
        """Look at the account; what it answers counts only if the connection still names it by then."""
        looking = self._begin_to_look(account)
        try:
            while True:
                await asyncio.wait({looking}, timeout=self._interval)
                named = await self._named()
                if named is not account:
                    _give_up(looking)
                    account, looking = named, self._begin_to_look(named)
                elif looking.done():
                    return _outcome(looking, account, began)
        finally:
            _give_up(looking)

    def _begin_to_look(self, account: Account) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(account.thread, self._look, account.client)

    async def _named(self) -> Account:
        """Return the account that the connection names now."""
        settings = await self._read(self._conn_id)
        self._reading.worked()
        if self._account is None or not self._account.is_named_by(settings):
            found = Account(next(self._numbers), settings, conn_id=self._conn_id, interval=self._interval)
            if self._account is not None:
                log.info("Connection %s was changed; polling goes on with what it says now.", clean(str(self._conn_id)))
                self._account.stop()
                self._fails = False
            elif self._pause is not None and mark_of(settings, like=self._pause.account) == self._pause.account:
                found.backoff.pause(self._pause.left(time.time()))
            self._account = found
        return self._account

    def _log_change(self, error: BaseException | None) -> None:
        """Say when looking begins to fail and when it works again, not at every look."""
        conn_id = clean(str(self._conn_id))
        if error is not None and not self._fails:
            log.warning("Polling VideoDB for connection %s fails; waiting goes on: %s", conn_id, describe(error))
        elif error is None and self._fails:
            log.info("Polling VideoDB for connection %s works again.", conn_id)
        self._fails = error is not None


def _give_up(looking: asyncio.Future[Any]) -> None:
    if not looking.cancel() and not looking.cancelled():
        # Asked for, so that asyncio does not log it as an exception that nobody asked for.
        looking.exception()


def _outcome(looked: asyncio.Future[Any], account: Account, began: float) -> PollResult:
    # Asked for and not awaited: a SystemExit that is raised here would end the event loop.
    error = looked.exception()
    if error is None:
        account.backoff.worked()
        return PollResult(seen=looked.result(), began=began, account=account.number)
    account.backoff.failed(error, began=began)
    return PollResult(error=error, began=began, account=account.number)
