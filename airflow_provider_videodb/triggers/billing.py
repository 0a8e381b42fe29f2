"""
Waiting without a worker: one poll of an account serves every task that waits on it.

On Airflow 3.3 all triggers of one kind, connection and poll interval share one stream of snapshots in the
triggerer; each filters the stream for what it waits for and keeps its own deadline. Elsewhere (older Airflow,
``dag.test()``) the same filter runs over a stream of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.triggers import BaseEventTrigger
from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.arguments import credits_argument
from airflow_provider_videodb.exceptions import (
    PERMANENT_ERRORS,
    VideoDBError,
    VideoDBRateLimitError,
)
from airflow_provider_videodb.purchase import PaymentWatch, Purchase

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.client import BillingClient
    from airflow_provider_videodb.models import Checkout, Usage

log = logging.getLogger(__name__)

#: Failed polls in a row that end a wait, unless the task says otherwise.
MAX_CONSECUTIVE_FAILURES = 5


class EventStatus(StrEnum):
    """How a wait ended."""

    ENOUGH = "enough"
    PAID = "paid"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What one poll saw: the answer, or the error that came instead of it."""

    seen: Any = None
    error: Exception | None = None


class BillingTrigger(BaseEventTrigger):
    """
    Polls one account and fires once, when what the task waits for is there or can no longer come.

    :param videodb_conn_id: the connection; the API key stays in it.
    :param poll_interval: seconds between polls.
    :param deadline: when the wait is over, in seconds since 1970, so that a restart of the triggerer does not
        prolong it.
    :param max_consecutive_failures: failed polls in a row that end the wait.
    """

    kind: ClassVar[str]

    # BaseEventTrigger was made for assets, which have no queue; the tasks that defer to us do.
    supports_triggerer_queue = True

    def __init__(
        self, *, videodb_conn_id: str, poll_interval: float, deadline: float | None, max_consecutive_failures: int
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not annotated
        self.videodb_conn_id = videodb_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.max_consecutive_failures = max_consecutive_failures

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "videodb_conn_id": self.videodb_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "max_consecutive_failures": self.max_consecutive_failures,
            },
        )

    def shared_stream_key(self) -> Hashable:
        """Share one poll with everybody who asks the same account the same question as often."""
        return (self.kind, self.videodb_conn_id, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """
        Poll for ever and yield what was seen, a failure too.

        An exception here would reach the waiters as a failed trigger, which ``soft_fail`` turns into a skip; and a
        poll that yields nothing would keep them from noticing that their time is up.
        """
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        hook = VideoDBBillingHook(kwargs["videodb_conn_id"])
        client: BillingClient | None = None
        not_before = 0.0
        ill: Exception | None = None
        while True:
            if time.monotonic() >= not_before:
                try:
                    client = client or await hook.aget_poll_client()
                    snapshot = Snapshot(seen=await asyncio.to_thread(cls.read, client))
                except Exception as err:  # noqa: BLE001 - see above: whatever it is, the waiters are told
                    snapshot = Snapshot(error=err)
                if isinstance(snapshot.error, VideoDBRateLimitError):
                    not_before = time.monotonic() + (snapshot.error.retry_after or 0.0)
                _log_change(kwargs["videodb_conn_id"], ill, snapshot.error)
                ill = snapshot.error
            yield snapshot
            await asyncio.sleep(kwargs["poll_interval"])

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends this wait."""
        failures = 0
        async for snapshot in shared_stream:
            try:
                if snapshot.error is None:
                    failures = 0
                    event = self.judge(snapshot.seen)
                else:
                    # Being asked to slow down is no failure: the poll waits as asked.
                    failures += not isinstance(snapshot.error, VideoDBRateLimitError)
                    event = self._judge_failure(snapshot.error, failures)
            except VideoDBError as err:
                event = _error_event(err)
            if event is None and self.deadline is not None and time.time() >= self.deadline:
                event = {"status": EventStatus.TIMEOUT, **self.result()}
            if event is not None:
                yield self.end_with(event)
                return

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait on a stream of one's own, where nothing shares streams."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event

    @classmethod
    @abstractmethod
    def read(cls, client: BillingClient) -> Any:
        """Poll once; runs in a thread."""

    @abstractmethod
    def judge(self, seen: Any) -> dict[str, Any] | None:
        """Return the event that ends the wait, ``None`` while it goes on; raise what fails it."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Return what the event of a timeout tells the task."""

    def end_with(self, event: dict[str, Any]) -> TriggerEvent:
        """Return the event for Airflow."""
        return TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's class is not annotated

    def _judge_failure(self, error: Exception, failures: int) -> dict[str, Any] | None:
        if isinstance(error, PERMANENT_ERRORS) or failures >= self.max_consecutive_failures:
            return _error_event(error)
        return None


class CreditThresholdTrigger(BillingTrigger):
    """
    Fires when the credit balance reaches a threshold.

    :param threshold: credits, as a number or a string that spells one (templates render to strings).
    :param timeout: seconds to wait, for a task that no worker started and so nobody could give a deadline.
    :param end_from_trigger: end the task here instead of handing it to a worker.
    :param soft_fail: with ``end_from_trigger``: skip the task when the time is up.
    """

    kind = "usage"

    def __init__(
        self,
        *,
        threshold: float | str,
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        timeout: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            max_consecutive_failures=max_consecutive_failures,
        )
        self.threshold = threshold
        self.timeout = timeout
        self.end_from_trigger = end_from_trigger
        self.soft_fail = soft_fail
        self._last_seen: Usage | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {
            "threshold": self.threshold,
            "timeout": self.timeout,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Snapshot]) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends this wait."""
        if self.deadline is None and self.timeout is not None:
            self.deadline = time.time() + self.timeout
        async for event in super().filter_shared_stream(shared_stream):
            yield event

    @classmethod
    def read(cls, client: BillingClient) -> Usage:
        """Read balance and consumption."""
        return client.get_usage()

    def judge(self, seen: Usage) -> dict[str, Any] | None:
        """Compare the balance with the threshold."""
        self._last_seen = seen
        threshold: Decimal = credits_argument("threshold", self.threshold)
        return {"status": EventStatus.ENOUGH, **self.result()} if seen.covers(threshold) else None

    def result(self) -> dict[str, Any]:
        """Return the usage seen last."""
        return {"usage": None if self._last_seen is None else self._last_seen.to_dict()}

    def end_with(self, event: dict[str, Any]) -> TriggerEvent:
        """End the task from here where that is wished and needs no worker to raise anything."""
        if self.end_from_trigger and event["status"] == EventStatus.ENOUGH:
            return TaskSuccessEvent(xcoms={"return_value": event["usage"]})
        if self.end_from_trigger and self.soft_fail and event["status"] == EventStatus.TIMEOUT:
            return TaskSkippedEvent()
        return super().end_with(event)


class CheckoutTrigger(BillingTrigger):
    """
    Fires when a checkout is paid, or can no longer be.

    :param purchase: the purchase that is waited for, in its JSON form.
    """

    kind = "checkouts"

    def __init__(
        self,
        *,
        purchase: dict[str, Any],
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            max_consecutive_failures=max_consecutive_failures,
        )
        self.purchase = purchase
        self._watch = PaymentWatch(Purchase.from_dict(purchase))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"purchase": self.purchase}

    @classmethod
    def read(cls, client: BillingClient) -> Sequence[Checkout]:
        """Read the list, the only view of a checkout there is."""
        return client.poll_checkouts()

    def judge(self, seen: Sequence[Checkout]) -> dict[str, Any] | None:
        """Look for the purchase in the list."""
        settled = self._watch.paid(seen, now=datetime.now(UTC))
        return None if settled is None else {"status": EventStatus.PAID, "purchase": settled.to_dict()}

    def result(self) -> dict[str, Any]:
        """Return the purchase that was waited for."""
        return {"purchase": self.purchase}


def checked_event(event: object, *expected: EventStatus) -> dict[str, Any]:
    """
    Return the event a trigger sent to its task.

    :param expected: how the wait may have ended, errors apart.
    :raises VideoDBError: the error that the trigger met, in its own class; or that the event is none of ours, since
        what is not understood must not pass for success.
    """
    if isinstance(event, Mapping):
        if event.get("status") in expected:
            return dict(event)
        if event.get("status") == EventStatus.ERROR:
            error = getattr(exceptions, str(event.get("error")), VideoDBError)
            raise error(event.get("message"))
    raise VideoDBError(f"The trigger sent {str(event)[:200]!r}, which is no event of this package. Retry the task.")


def _error_event(err: Exception) -> dict[str, Any]:
    message = str(err) if isinstance(err, VideoDBError) else f"{type(err).__name__}: {err}"
    return {"status": EventStatus.ERROR, "error": type(err).__name__, "message": message}


def _log_change(conn_id: str, before: Exception | None, now: Exception | None) -> None:
    """Say when polling begins to fail and when it works again, not at every poll."""
    if now is not None and type(now) is not type(before):
        log.warning("Polling VideoDB for connection %s fails; waiting goes on: %s", conn_id, now)
    elif now is None and before is not None:
        log.info("Polling VideoDB for connection %s works again.", conn_id)
