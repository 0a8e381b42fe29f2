"""Airflow's own `TriggerRunner` in the test process, without its supervisor."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow.jobs.triggerer_job_runner import TriggerRunner, messages
from airflow.models.trigger import Trigger
from airflow.sdk.execution_time.comms import _RequestFrame

from airflow_provider_videodb.triggers._shared_poll import polls_here
from tests.support.compat import run_trigger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow.triggers.base import BaseTrigger, TriggerEvent

    from airflow_provider_videodb.emulator.server import Emulator

#: Seconds. It only ends a test that would wait for good, because a busy machine may need ten for one poll.
PATIENCE = 60.0


class Triggerer:
    """A running triggerer: starts triggers and collects their events."""

    def __init__(self) -> None:
        self.runner = TriggerRunner()
        # The runner sends its messages to the supervisor through this.
        self.runner.comms_decoder = self
        self.failed: dict[int, BaseException | None] = {}
        self.happened: dict[int, TriggerEvent] = {}
        self._ids = iter(range(1, 1_000_000))

    async def start(self, *triggers: BaseTrigger) -> list[int]:
        """Start triggers as the database hands them over: class path and encrypted arguments."""
        return [await self.start_stored(*trigger.serialize()) for trigger in triggers]

    async def start_stored(self, classpath: str, kwargs: dict[str, Any], **workload: Any) -> int:
        trigger_id = next(self._ids)
        encrypted = Trigger.encrypt_kwargs(kwargs)
        self.runner.to_create.append(
            run_trigger(id=trigger_id, classpath=classpath, encrypted_kwargs=encrypted, **workload)
        )
        await self.runner.create_triggers()
        return trigger_id

    async def cancel(self, trigger_id: int) -> None:
        self.runner.to_cancel.append(trigger_id)
        await self.runner.cancel_triggers()

    async def events(self, count: int, *, within: float = PATIENCE) -> dict[int, TriggerEvent]:
        """Return all events by trigger id, once there are that many; no trigger may have failed."""
        await self.until(lambda: len(self.happened) >= count, within=within)
        assert not self.failed
        return self.happened

    async def payload(self, *, within: float = PATIENCE) -> Any:
        """Return the payload of the only event."""
        (event,) = (await self.events(1, within=within)).values()
        return event.payload

    async def idle(self, *, within: float = PATIENCE) -> None:
        """Wait until all triggers have ended."""
        await self.until(lambda: not self.runner.triggers, within=within)

    async def until(self, condition: Callable[[], object], *, within: float = PATIENCE) -> None:
        """Run the triggerer's main loop until the condition holds."""
        async with asyncio.timeout(within):
            while not condition():
                await self._collect()
                await asyncio.sleep(0.01)

    async def waits_on(self) -> None:
        """Collect what has happened, and check that no event is among it."""
        await self._collect()
        assert not self.happened

    @property
    def polls(self) -> int:
        """The number of shared polls."""
        return polls_here()

    async def asend(self, changes: Any) -> Any:
        """Receive what has happened, as the supervisor does."""
        # The supervisor receives it in this form. What cannot be encoded ends a real triggerer.
        _RequestFrame(id=1, body=changes.model_dump()).as_bytes()
        # Each entry begins with the id and the event. Airflow 3.3 adds a third part.
        self.happened |= {entry[0]: entry[1] for entry in changes.events or ()}
        self.failed |= dict(changes.failures or ())
        return messages.TriggerStateSync(to_create=[], to_cancel=set())

    async def _collect(self) -> None:
        await self.runner.sync_state_to_supervisor(await self.runner.cleanup_finished_triggers())


@asynccontextmanager
async def triggerer() -> AsyncIterator[Triggerer]:
    running = Triggerer()
    try:
        yield running
    finally:
        tasks = [details["task"] for details in running.runner.triggers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def polled(account: Emulator, times: int = 1, *, path: str = "/billing/usage", answered: bool = True) -> None:
    """Wait for that many more requests at an account."""
    so_far = len(account.calls(path=path))
    until = (lambda call: call.done) if answered else None
    await asyncio.to_thread(account.wait_for_calls, so_far + times, path=path, until=until, timeout=PATIENCE)
