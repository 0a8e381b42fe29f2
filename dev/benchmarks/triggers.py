"""The two triggers that exist for comparison only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

_WAKE_PER_STEP = 100


class SharedStreamTrigger(BaseEventTrigger):
    """
    Waits for a balance on Airflow's shared stream.

    One poll serves all waiters, and every response wakes all of them. It is the shortest trigger that Airflow's
    documentation of shared streams leads to, and it uses this package's client.
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
        """Share the poll of one account and one interval."""
        return (self.conn_id, self.interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        """Read the balance once per interval."""
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        client = await VideoDBBillingHook(kwargs["conn_id"]).aget_poll_client()
        while True:
            next_poll = time.monotonic() + kwargs["interval"]
            yield await asyncio.to_thread(client.get_usage)
            await asyncio.sleep(next_poll - time.monotonic())

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire at the first balance that suffices."""
        async for usage in shared_stream:
            if usage.credit_balance >= self.threshold:
                yield TriggerEvent(usage.to_dict())  # type: ignore[no-untyped-call]  # Airflow's class is not annotated
                return

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll alone, where Airflow does not share streams."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event


class IdleTrigger(BaseTrigger):
    """
    Waits in memory and sends no requests.

    Its cost is Airflow's own cost, which every trigger pays.
    """

    _waiters: list[asyncio.Future[None]] = []  # noqa: RUF012 - shared by the whole process

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        return f"{__name__}.IdleTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for `wake_all`, then fire."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter
        yield TriggerEvent({"status": "enough"})  # type: ignore[no-untyped-call]  # Airflow's class is not annotated

    @classmethod
    async def wake_all(cls) -> float:
        """Wake every waiter, and return when that began."""
        began = time.monotonic()
        for place, waiter in enumerate(cls._waiters, start=1):
            waiter.set_result(None)
            if place % _WAKE_PER_STEP == 0:
                await asyncio.sleep(0)
        return began
