"""Polls the account that one connection names. It knows neither tasks nor triggers."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError, without_next_step
from airflow_provider_videodb.triggers._accounts import Account, Backoff, read_in_triggerer, read_in_worker
from airflow_provider_videodb.triggers._encoding import clean, describe
from airflow_provider_videodb.triggers._pauses import mark_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from airflow_provider_videodb.hooks.connection import ConnectionSettings
    from airflow_provider_videodb.triggers._pauses import Pause

log = logging.getLogger(__name__)

#: Shortest interval in seconds. An Airflow sensor may poke without a pause, which would block the shared event loop.
SHORTEST_INTERVAL = 0.05
#: Seconds over which the first polls are spread, for example when a triggerer starts with a hundred accounts.
SPREAD = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PollResult:
    """
    What one poll read, or the error that it raised.

    :param value: what was read.
    :param began: when the poll began, on the monotonic clock. It does not count for triggers that came later.
    :param account: number of the account that was polled; ``None`` if the connection could not be read.
    """

    value: Any = None
    error: BaseException | None = None
    began: float = field(default=math.inf, compare=False)
    account: int | None = field(default=None, compare=False)


#: A tick without a result, because a poll is still running or VideoDB asked to wait.
NO_RESULT = PollResult()


async def poll(
    conn_id: str,
    fetch: Callable[[Account], Any],
    *,
    interval: float,
    pause: Pause | None = None,
    read_settings: Callable[[str], Awaitable[ConnectionSettings]] = read_in_triggerer,
) -> AsyncGenerator[PollResult, None]:
    """
    Poll at most once per interval, until the caller stops it.

    The first poll is delayed by a random fraction of the interval. Each consecutive failure doubles the delay;
    Retry-After is honored. It yields on every tick, so that waiting triggers can check their deadlines.

    The connection is read before each request, and again before the response counts. So a change of the connection
    takes effect at once: responses, failures and delays of the old account do not count for the new one.

    :param conn_id: id of the Airflow connection.
    :param fetch: sends the request; called in a thread.
    :param interval: seconds between polls.
    :param pause: how long VideoDB asked the worker to wait, shortly before.
    :param read_settings: reads the connection in this kind of process.
    """
    interval = max(interval, SHORTEST_INTERVAL)
    account_poll = _Poll(conn_id=conn_id, fetch=fetch, interval=interval, pause=pause, read_settings=read_settings)
    try:
        await asyncio.sleep(random.uniform(0, min(interval, SPREAD)))  # noqa: S311 - not a secret
        while True:
            next_tick = time.monotonic() + interval
            yield await account_poll.tick(within=interval)
            await asyncio.sleep(next_tick - time.monotonic())
    finally:
        account_poll.stop()


@dataclass(kw_only=True)
class _Poll:
    """Runs one request at a time."""

    conn_id: str
    fetch: Callable[[Account], Any]
    interval: float
    pause: Pause | None
    read_settings: Callable[[str], Awaitable[ConnectionSettings]]

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._account: Account | None = None
        self._connection_backoff = Backoff(self.interval)
        self._running: asyncio.Task[PollResult] | None = None
        self._fails = False

    async def tick(self, *, within: float) -> PollResult:
        """Return the result of a poll that ends within that many seconds."""
        if self._running is None:
            began = time.monotonic()
            if began < self._connection_backoff.not_before:
                return NO_RESULT
            self._running = asyncio.create_task(self._poll_once(began))
        await asyncio.wait({self._running}, timeout=within)
        if not self._running.done():
            return NO_RESULT
        ended, self._running = self._running, None
        if ended.cancelled():
            # This poll cancels only in stop(), so the code that reads the connection did.
            text = "Reading the connection was cancelled. The task did not continue. Next step: retry the task."
            return PollResult(error=VideoDBError(text))
        result = ended.result()
        if result is not NO_RESULT:
            self._log_change(result.error)
        return result

    def stop(self) -> None:
        """Stop without waiting for a running request, because this is called on the event loop."""
        if self._running is not None:
            self._running.cancel()
        if self._account is not None:
            self._account.stop()

    async def _poll_once(self, began: float) -> PollResult:
        try:
            account = await self._current_account()
            if began < account.backoff.not_before:
                return NO_RESULT
            return await self._fetch_from(account, began)
        except (Exception, SystemExit) as err:  # noqa: BLE001 - the waiting triggers are told of every error
            # Without the connection, no account may be polled, not even the one that it named before.
            self._connection_backoff.failed(err, began=began)
            return PollResult(error=err, began=began)

    async def _fetch_from(self, account: Account, began: float) -> PollResult:
        """Poll the account, and start over if the connection names another one meanwhile."""
        request = self._send(account)
        try:
            while True:
                await asyncio.wait({request}, timeout=self.interval)
                current = await self._current_account()
                if current is not account:
                    _abandon(request)
                    account, request = current, self._send(current)
                elif request.done():
                    return _result_of(request, account, began)
        finally:
            _abandon(request)

    def _send(self, account: Account) -> asyncio.Future[Any]:
        # In a worker, asyncio waits for its own threads before the task continues. So the task does not talk to Airflow
        # at the same time as a poll that it abandoned.
        thread = None if self.read_settings is read_in_worker else account.thread
        return asyncio.get_running_loop().run_in_executor(thread, self.fetch, account)

    async def _current_account(self) -> Account:
        settings = await self.read_settings(self.conn_id)
        self._connection_backoff.succeeded()
        if self._account is None or not self._account.is_named_by(settings):
            found = Account(next(self._numbers), settings, conn_id=self.conn_id, interval=self.interval)
            if self._account is not None:
                log.info("Connection %s was changed. Polling continues with the new settings.", self._safe_conn_id)
                self._account.stop()
                self._fails = False
            elif self.pause is not None and mark_of(settings, like=self.pause.account) == self.pause.account:
                found.backoff.pause(self.pause.left(time.time()))
            self._account = found
        return self._account

    @property
    def _safe_conn_id(self) -> str:
        return clean(str(self.conn_id))

    def _log_change(self, error: BaseException | None) -> None:
        """Log the first failure and the recovery, not every poll."""
        if error is not None and not self._fails:
            why = without_next_step(describe(error))
            log.warning("VideoDB cannot be polled (connection %s). Tasks keep waiting. %s", self._safe_conn_id, why)
        elif error is None and self._fails:
            log.info("VideoDB can be polled again (connection %s).", self._safe_conn_id)
        self._fails = error is not None


def _abandon(request: asyncio.Future[Any]) -> None:
    if not request.cancel() and not request.cancelled():
        # asyncio logs an exception that nobody has retrieved.
        request.exception()


def _result_of(request: asyncio.Future[Any], account: Account, began: float) -> PollResult:
    # Awaiting the request would raise its SystemExit here, which would end the event loop.
    error = request.exception()
    if error is None:
        account.backoff.succeeded()
        return PollResult(value=request.result(), began=began, account=account.number)
    account.backoff.failed(error, began=began)
    return PollResult(error=error, began=began, account=account.number)
