"""Which account a connection names, read again and again: its name can be bound to another account at any moment."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBRateLimitError
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook, poll_client
from airflow_provider_videodb.triggers._encoding import clean

if TYPE_CHECKING:
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

#: Longest pause in seconds that failures alone lead to; longer intervals and what VideoDB asks for are kept.
LONGEST_PAUSE = 300.0
#: A worker's socket to its supervisor takes one call at a time.
_ONE_READ = threading.Lock()


async def read_in_triggerer(conn_id: str) -> ConnectionSettings:
    """Read a connection where many triggers share one event loop."""
    return await VideoDBBillingHook(conn_id).aget_settings()


async def read_in_worker(conn_id: str) -> ConnectionSettings:
    """
    Read a connection in a task's own process.

    In a thread, since a wait that ends cancels what it awaits: half an exchange with the supervisor would be left on
    the task's socket, and the task's next question would be given the answer to this one.
    """
    return await asyncio.to_thread(_read, conn_id)


def _read(conn_id: str) -> ConnectionSettings:
    with _ONE_READ:
        return VideoDBBillingHook(conn_id).settings


class Backoff:
    """
    When to look again: at the next interval, or later while looks fail or VideoDB asks to wait.

    Measured on the clock of the process, which nobody sets.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._failures = 0
        self.not_before = 0.0

    def worked(self) -> None:
        """Note that a look worked."""
        self._failures = 0

    def failed(self, error: BaseException, *, began: float) -> None:
        """Note that a look failed, and when it began: each pause is twice as long as the one before."""
        self._failures += 1
        if isinstance(error, VideoDBRateLimitError) and error.retry_after is not None:
            self.pause(error.retry_after)
            return
        # No power is raised that could overflow: by then the pause is the longest anyway.
        doubled: float = self._interval * 2 ** min(self._failures, 16)
        self.not_before = began + min(doubled, max(self._interval, LONGEST_PAUSE))

    def pause(self, seconds: float) -> None:
        """Wait for so many seconds from now on."""
        self.not_before = time.monotonic() + seconds


class Account:
    """
    One account for as long as the connection names it, and all that is known of it.

    It is replaced as a whole when the connection names another, so that nothing of one speaks for the other.
    """

    def __init__(self, number: int, settings: ConnectionSettings, *, conn_id: str, interval: float) -> None:
        #: Tells this account from the ones before it.
        self.number = number
        self.settings = settings
        self.client = poll_client(settings)
        self.backoff = Backoff(interval)
        # A thread of its own: an account that answers slowly delays no other.
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=clean(f"videodb-{conn_id}"))

    def is_named_by(self, settings: ConnectionSettings) -> bool:
        """Say whether these settings lead to the same account in the same way; limits of spending do not matter."""
        return _way_to(self.settings) == _way_to(settings)

    def stop(self) -> None:
        """Stop without waiting for a look that is under way: this runs in the event loop."""
        self.thread.shutdown(wait=False, cancel_futures=True)


def _way_to(settings: ConnectionSettings) -> tuple[str, str, float]:
    return settings.base_url, settings.api_key, settings.timeout
