"""The two triggers that are here for comparison only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

#: How many waiters an idle gate wakes before others get a turn.
_AT_ONCE = 100


class SharedStreamTrigger(BaseEventTrigger):
    """
    Waits for a balance on a stream that Airflow shares: one poll, and every waiter is woken by every answer.

    It is the shortest trigger that Airflow's documentation of shared streams leads to, over the client of this package.
    """

    def __init__(self, *, threshold: float, conn_id: str, interval: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not annotated
        self.threshold = threshold
        self.conn_id = conn_id
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        arguments = {"threshold": self.threshold, "conn_id": self.conn_id, "interval": self.interval}
        return f"{__name__}.SharedStreamTrigger", arguments

    def shared_stream_key(self) -> Hashable:
        """Share the poll with whoever asks the same account as often."""
        return (self.conn_id, self.interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        """Ask for the balance once per interval, for ever."""
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        client = await VideoDBBillingHook(kwargs["conn_id"]).aget_poll_client()
        while True:
            next_look = time.monotonic() + kwargs["interval"]
            yield await asyncio.to_thread(client.get_usage)
            await asyncio.sleep(next_look - time.monotonic())

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire at the first answer that suffices."""
        async for usage in shared_stream:
            if usage.credit_balance >= self.threshold:
                yield TriggerEvent(usage.to_dict())  # type: ignore[no-untyped-call]  # Airflow's class is not annotated
                return

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait on a stream of one's own, where nothing shares streams."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event


class IdleTrigger(BaseTrigger):
    """
    Waits until this process is told to let go, and asks nobody: what it costs is what Airflow costs.

    No trigger of any provider can wait for less.
    """

    _waiters: list[asyncio.Future[None]] = []  # noqa: RUF012 - one for the whole process

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        return f"{__name__}.IdleTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter
        yield TriggerEvent({"status": "enough"})  # type: ignore[no-untyped-call]  # Airflow's class is not annotated

    @classmethod
    async def let_go(cls) -> float:
        """Wake all that wait, a few at a time, and return when the first was woken."""
        began = time.monotonic()
        for place, waiter in enumerate(cls._waiters):
            waiter.set_result(None)
            if place % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        return began
