"""Looking at one account again and again, for everybody who waits on it. Knows nothing of tasks."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBRateLimitError
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_provider_videodb.client import BillingClient

log = logging.getLogger(__name__)

#: Airflow's sensors may poke without a pause; the event loop of all triggers must not spin for it.
SHORTEST_INTERVAL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What one look saw: the answer, or the error that came instead of it."""

    seen: Any = None
    error: Exception | None = None


#: A tick without a look: one is still under way, or VideoDB asked to wait. It is there to be reminded of the time.
NOTHING_NEW = Snapshot()


async def snapshots(conn_id: str, look: Callable[[BillingClient], Any], *, interval: float) -> AsyncIterator[Snapshot]:
    """
    Look at most once per ``interval`` and yield at every tick, for ever, whatever happens.

    An exception here would reach the waiters as a failed trigger, and a poll that yields nothing would keep them
    from noticing that their time is up.
    """
    interval = max(interval, SHORTEST_INTERVAL)
    poll = _Poll(conn_id, look)
    try:
        while True:
            next_tick = time.monotonic() + interval
            yield await poll.tick(within=interval)
            await asyncio.sleep(next_tick - time.monotonic())
    finally:
        poll.stop()


class _Poll:
    """One look at a time, in a thread of its own: an account that answers slowly delays no other."""

    def __init__(self, conn_id: str, look: Callable[[BillingClient], Any]) -> None:
        self._conn_id = conn_id
        self._look = look
        self._client: BillingClient | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"videodb-{conn_id}")
        self._under_way: asyncio.Task[Snapshot] | None = None
        self._not_before = 0.0
        self._failing = False

    async def tick(self, *, within: float) -> Snapshot:
        """Return what a look saw, if one came to an end within so many seconds."""
        if self._under_way is None:
            if time.monotonic() < self._not_before:
                return NOTHING_NEW
            self._under_way = asyncio.create_task(self._snapshot())
        await asyncio.wait({self._under_way}, timeout=within)
        if not self._under_way.done():
            return NOTHING_NEW
        snapshot, self._under_way = self._under_way.result(), None
        if isinstance(snapshot.error, VideoDBRateLimitError):
            self._not_before = time.monotonic() + (snapshot.error.retry_after or 0.0)
        self._log_change(snapshot.error)
        return snapshot

    def stop(self) -> None:
        """Stop without waiting for a look that is under way: this runs in the event loop."""
        if self._under_way is not None:
            self._under_way.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _snapshot(self) -> Snapshot:
        try:
            # A connection that cannot be read is read again at the next look.
            self._client = self._client or await VideoDBBillingHook(self._conn_id).aget_poll_client()
            loop = asyncio.get_running_loop()
            return Snapshot(seen=await loop.run_in_executor(self._thread, self._look, self._client))
        except Exception as err:  # noqa: BLE001 - whatever it is, the waiters are told
            return Snapshot(error=err)

    def _log_change(self, error: Exception | None) -> None:
        """Say when looking begins to fail and when it works again, not at every look."""
        failing = error is not None
        if failing and not self._failing:
            log.warning("Polling VideoDB for connection %s fails; waiting goes on: %s", self._conn_id, error)
        elif self._failing and not failing:
            log.info("Polling VideoDB for connection %s works again.", self._conn_id)
        self._failing = failing
