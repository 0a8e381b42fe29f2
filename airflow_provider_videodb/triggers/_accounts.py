"""The account that a connection names at the moment."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBRateLimitError
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook, poll_client
from airflow_provider_videodb.purchases.variables import ONE_QUESTION
from airflow_provider_videodb.triggers._encoding import clean
from airflow_provider_videodb.triggers._gates import AccountHolds

if TYPE_CHECKING:
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

#: Longest delay in seconds after failures. A longer interval, or a longer Retry-After, is kept.
LONGEST_PAUSE = 300.0


async def read_in_triggerer(conn_id: str) -> ConnectionSettings:
    """Read a connection on the event loop of a triggerer."""
    return await VideoDBBillingHook(conn_id).aget_settings()


async def read_in_worker(conn_id: str) -> ConnectionSettings:
    """
    Read a connection in the process of a task.

    A thread reads it, because a wait that ends cancels its coroutine. A cancelled read would leave the supervisor's
    response on the task's socket, and the task's next request would receive it.
    """
    return await asyncio.to_thread(_read, conn_id)


def _read(conn_id: str) -> ConnectionSettings:
    with ONE_QUESTION:
        return VideoDBBillingHook(conn_id).settings


class Backoff:
    """
    Says from when on the next poll may be made.

    Each consecutive failure doubles the delay. Times are those of the monotonic clock, which nobody can set.

    :param interval: seconds between polls that succeed.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._failures = 0
        self.not_before = 0.0

    def succeeded(self) -> None:
        """Note a poll that succeeded."""
        self._failures = 0

    def failed(self, error: BaseException, *, began: float) -> None:
        """Note a poll that failed, and when it began."""
        self._failures += 1
        if isinstance(error, VideoDBRateLimitError) and error.retry_after is not None:
            self.pause(error.retry_after)
            return
        # A larger power could overflow, and after 16 failures the delay is the longest anyway.
        doubled: float = self._interval * 2 ** min(self._failures, 16)
        self.not_before = began + min(doubled, max(self._interval, LONGEST_PAUSE))

    def pause(self, seconds: float) -> None:
        """Wait that many seconds from now on."""
        self.not_before = time.monotonic() + seconds


class Account:
    """
    One account, for as long as the connection names it.

    When the connection names another account, a new object replaces this one. So neither failures nor responses of one
    account count for another.

    :param number: distinguishes this account from earlier ones of the same poll.
    """

    def __init__(self, number: int, settings: ConnectionSettings, *, conn_id: str, interval: float) -> None:
        self.number = number
        self.settings = settings
        self.client = poll_client(settings)
        self.backoff = Backoff(interval)
        self.holds = AccountHolds(settings)
        # Each account has its own thread, so a slow one does not delay the others.
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=clean(f"videodb-{conn_id}"))

    def is_named_by(self, settings: ConnectionSettings) -> bool:
        """Say whether a poll with these settings reads the same; spending limits do not matter."""
        return _address(self.settings) == _address(settings)

    def stop(self) -> None:
        """Stop without waiting for a running request, because this is called on the event loop."""
        self.thread.shutdown(wait=False, cancel_futures=True)


def _address(settings: ConnectionSettings) -> tuple[object, ...]:
    holds = settings.credit_account, settings.credit_reserve, settings.settlement_minutes
    return settings.base_url, settings.api_key, settings.timeout, *holds
