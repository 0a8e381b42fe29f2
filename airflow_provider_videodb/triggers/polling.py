"""Looking at one account again and again. Knows nothing of tasks, nor of who else waits."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
)
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from airflow_provider_videodb.client import BillingClient

log = logging.getLogger(__name__)

#: Airflow's sensors may poke without a pause; the event loop of all triggers must not spin for it.
SHORTEST_INTERVAL = 0.05
#: Seconds over which the first looks of many polls are spread, as when a triggerer starts with a hundred accounts.
SPREAD = 10.0
#: Longest pause in seconds that failures alone lead to; longer intervals and what VideoDB asks for are kept.
LONGEST_PAUSE = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What one look saw: the answer, or the error that came instead of it."""

    seen: Any = None
    error: Exception | None = None


#: A tick without a look: one is still under way, or VideoDB asked to wait. It is there to be reminded of the time.
NOTHING_NEW = Snapshot()


async def snapshots(
    conn_id: str, look: Callable[[BillingClient], Any], *, interval: float, not_before: float | None = None
) -> AsyncGenerator[Snapshot, None]:
    """
    Look at most once per ``interval`` and yield at every tick, for ever, whatever happens.

    Begins at a random moment of the first interval. While looks fail, each is twice as far from the next as the one
    before; being asked to wait is obeyed. A poll that yielded nothing meanwhile would keep the waiters from noticing
    that their time is up.

    :param not_before: seconds since 1970, if VideoDB has asked to wait until then.
    """
    interval = max(interval, SHORTEST_INTERVAL)
    poll = _Poll(conn_id, look, interval, pause=0.0 if not_before is None else not_before - time.time())
    try:
        await asyncio.sleep(random.uniform(0, min(interval, SPREAD)))  # noqa: S311 - no secret hangs on it
        while True:
            next_tick = time.monotonic() + interval
            yield await poll.tick(within=interval)
            await asyncio.sleep(next_tick - time.monotonic())
    finally:
        poll.stop()


class _Poll:
    """One look at a time, in a thread of its own: an account that answers slowly delays no other."""

    def __init__(self, conn_id: str, look: Callable[[BillingClient], Any], interval: float, *, pause: float) -> None:
        self._conn_id = conn_id
        self._look = look
        self._interval = interval
        self._client: BillingClient | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"videodb-{conn_id}")
        self._under_way: asyncio.Task[Snapshot] | None = None
        self._began = 0.0
        self._not_before = time.monotonic() + pause
        self._failures = 0

    async def tick(self, *, within: float) -> Snapshot:
        """Return what a look saw, if one came to an end within so many seconds."""
        if self._under_way is None:
            if time.monotonic() < self._not_before:
                return NOTHING_NEW
            self._began = time.monotonic()
            self._under_way = asyncio.create_task(self._snapshot())
        await asyncio.wait({self._under_way}, timeout=within)
        if not self._under_way.done():
            return NOTHING_NEW
        snapshot, self._under_way = self._under_way.result(), None
        self._log_change(snapshot.error)
        self._failures = 0 if snapshot.error is None else self._failures + 1
        if snapshot.error is not None:
            self._not_before = self._pause_after(snapshot.error)
        return snapshot

    def stop(self) -> None:
        """Stop without waiting for a look that is under way: this runs in the event loop."""
        if self._under_way is not None:
            self._under_way.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _snapshot(self) -> Snapshot:
        kept = self._client is not None
        try:
            # A connection that cannot be read is read again at the next look.
            self._client = self._client or await VideoDBBillingHook(self._conn_id).aget_poll_client()
            loop = asyncio.get_running_loop()
            return Snapshot(seen=await loop.run_in_executor(self._thread, self._look, self._client))
        except (VideoDBAuthenticationError, VideoDBPermissionError) as err:
            # Somebody may have put a new key into the connection since it was read.
            self._client = None
            return await self._snapshot() if kept else Snapshot(error=err)
        except Exception as err:  # noqa: BLE001 - whatever it is, the waiters are told
            return Snapshot(error=err)

    def _pause_after(self, error: Exception) -> float:
        """Return when to look again after a failure."""
        if isinstance(error, VideoDBRateLimitError) and error.retry_after is not None:
            return time.monotonic() + error.retry_after
        # No power is raised that could overflow: by then the pause is the longest anyway.
        doubled: float = self._interval * 2 ** min(self._failures, 16)
        # From where the look began, which is where its tick did.
        return self._began + min(doubled, max(self._interval, LONGEST_PAUSE))

    def _log_change(self, error: Exception | None) -> None:
        """Say when looking begins to fail and when it works again, not at every look."""
        if error is not None and not self._failures:
            log.warning("Polling VideoDB for connection %s fails; waiting goes on: %s", self._conn_id, error)
        elif error is None and self._failures:
            log.info("Polling VideoDB for connection %s works again.", self._conn_id)
