"""
Waiting without a worker: one poll of an account serves every task that waits on it.

All triggers of one kind, connection and poll interval share one poll in their triggerer; each judges what the poll
sees for itself and keeps its own deadline.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseTrigger, TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb.arguments import count_argument, credits_argument
from airflow_provider_videodb.exceptions import (
    PERMANENT_ERRORS,
    VideoDBNoConnectionError,
    VideoDBRateLimitError,
)
from airflow_provider_videodb.models import by_id
from airflow_provider_videodb.payment import PaymentWatch, last_look
from airflow_provider_videodb.record import Purchase
from airflow_provider_videodb.triggers.events import EventStatus, error_event
from airflow_provider_videodb.triggers.polling import NOTHING_NEW, Snapshot
from airflow_provider_videodb.triggers.sharing import Question, verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from decimal import Decimal

    from airflow_provider_videodb.client import BillingClient
    from airflow_provider_videodb.models import Checkout, Usage

#: Failed polls in a row that end a wait, unless the task says otherwise.
MAX_CONSECUTIVE_FAILURES = 5


class BillingTrigger(BaseTrigger):
    """
    Polls one account and fires once, when what the task waits for is there or can no longer come.

    Whatever goes wrong is an event too, which raises the error in the task: a trigger that fails would end as a skip
    under ``soft_fail``. For the same reason arguments are read in :meth:`begin`; besides, an exception of
    ``__init__`` would end the whole triggerer.

    :param videodb_conn_id: the connection; the API key stays in it.
    :param poll_interval: seconds between polls.
    :param deadline: when the wait is over, in seconds since 1970, so that a restart of the triggerer does not
        prolong it. It is looked at once per interval.
    :param max_consecutive_failures: failed polls in a row that end the wait.
    :param not_before: when VideoDB may be asked again, in seconds since 1970, if it asked the task to wait.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        *,
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None,
        max_consecutive_failures: int,
        not_before: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not annotated
        self.videodb_conn_id = videodb_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.max_consecutive_failures = max_consecutive_failures
        self.not_before = not_before
        self._failures = 0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "videodb_conn_id": self.videodb_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "max_consecutive_failures": self.max_consecutive_failures,
                "not_before": self.not_before,
            },
        )

    @property
    def question(self) -> Question:
        """What is polled for this wait: everybody who asks the same account the same as often shares the poll."""
        return Question(self.kind, self.videodb_conn_id, self.poll_interval)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends this wait."""
        try:
            self.begin()
            event = await verdict(self.question, self.read, self.weigh, not_before=self.not_before)
        except Exception as err:  # noqa: BLE001 - see the class: whatever it is, the task is told
            event = error_event(err)
        yield self.end_with(event)

    def weigh(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """Return the event that ends the wait, if this tick of the poll does."""
        event = self._judged(snapshot)
        if event is None and self.deadline is not None and time.time() >= self.deadline:
            return {"status": EventStatus.TIMEOUT, **self.result()}
        return event

    @classmethod
    @abstractmethod
    def read(cls, client: BillingClient) -> Any:
        """Poll once; runs in a thread."""

    def begin(self) -> None:
        """Read the arguments once, when waiting begins and templates are rendered; raise what is wrong with them."""
        count_argument("max_consecutive_failures", self.max_consecutive_failures)

    @abstractmethod
    def judge(self, seen: Any) -> dict[str, Any] | None:
        """
        Return the event that ends the wait, ``None`` while it goes on; raise what fails it.

        Runs for every waiter at every poll: ten thousand of these make one step of the event loop.
        """

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Return what the event of a timeout tells the task."""

    def end_with(self, event: dict[str, Any]) -> TriggerEvent:
        """Return the event for Airflow."""
        return TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's class is not annotated

    def _judged(self, snapshot: Snapshot) -> dict[str, Any] | None:
        if snapshot is NOTHING_NEW:
            return None
        if snapshot.error is None:
            self._failures = 0
            return self.judge(snapshot.seen)
        # Being asked to slow down is no failure: the poll waits as asked.
        self._failures += not isinstance(snapshot.error, VideoDBRateLimitError)
        if self._failures >= self.max_consecutive_failures or (
            isinstance(snapshot.error, PERMANENT_ERRORS)
            # Airflow says the same of a connection that it could not read just now.
            and not isinstance(snapshot.error, VideoDBNoConnectionError)
        ):
            # Not raised: all waiters have the same exception in hand, and each would add to its traceback.
            return error_event(snapshot.error)
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
    _needed: Decimal

    def __init__(
        self,
        *,
        threshold: float | str,
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        timeout: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        not_before: float | None = None,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            max_consecutive_failures=max_consecutive_failures,
            not_before=not_before,
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

    def begin(self) -> None:
        """Read the threshold, and let the time begin for a task that no worker started."""
        super().begin()
        self._needed = credits_argument("threshold", self.threshold)
        if self.deadline is None and self.timeout is not None:
            self.deadline = time.time() + self.timeout

    @classmethod
    def read(cls, client: BillingClient) -> Usage:
        """Read balance and consumption."""
        return client.get_usage()

    def judge(self, seen: Usage) -> dict[str, Any] | None:
        """Compare the balance with the threshold."""
        self._last_seen = seen
        return {"status": EventStatus.ENOUGH, **self.result()} if seen.covers(self._needed) else None

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
    _watch: PaymentWatch

    def __init__(
        self,
        *,
        purchase: dict[str, Any],
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        not_before: float | None = None,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            max_consecutive_failures=max_consecutive_failures,
            not_before=not_before,
        )
        self.purchase = purchase

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"purchase": self.purchase}

    def begin(self) -> None:
        """Read the purchase."""
        super().begin()
        self._watch = PaymentWatch(Purchase.from_dict(self.purchase))

    @classmethod
    def read(cls, client: BillingClient) -> Mapping[str, Checkout]:
        """Read the list, the only view of a checkout there is."""
        return by_id(client.poll_checkouts())

    def judge(self, seen: Mapping[str, Checkout]) -> dict[str, Any] | None:
        """Look for the purchase in the list."""
        settled = self._watch.paid(seen, now=datetime.now(UTC))
        if settled is None:
            return None
        return {"status": EventStatus.PAID, "purchase": settled.to_dict(), "deadline": self.deadline}

    async def on_kill(self) -> None:
        """Have a last look when a user ends the wait, and say in the task's log what remains payable."""
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        client = await VideoDBBillingHook(self.videodb_conn_id).aget_poll_client()
        checkouts = await asyncio.to_thread(client.list_checkouts)
        self.log.warning(last_look(Purchase.from_dict(self.purchase), by_id(checkouts), now=datetime.now(UTC)))

    def result(self) -> dict[str, Any]:
        """Return the purchase that was waited for."""
        return {"purchase": self.purchase, "deadline": self.deadline}
