"""
Waiting without a worker: one poll of an account serves every task that waits on it.

All triggers that ask the same of one connection as often share one poll in their triggerer; each judges what the poll
sees for itself and keeps its own deadline.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb.arguments import credits_argument
from airflow_provider_videodb.exceptions import VideoDBResponseError
from airflow_provider_videodb.models import by_id
from airflow_provider_videodb.payment import PaymentWatch, last_look
from airflow_provider_videodb.record import Purchase
from airflow_provider_videodb.triggers.base import MAX_CONSECUTIVE_FAILURES, BillingTrigger, Watch
from airflow_provider_videodb.triggers.encoding import clean, describe
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.client import BillingClient
    from airflow_provider_videodb.models import Checkout, Usage

#: Bytes of what one look at the usage may see: every waiter's event holds a copy.
MAX_USAGE_BYTES = 64 * 1024

__all__ = ["MAX_CONSECUTIVE_FAILURES", "BillingTrigger", "CheckoutTrigger", "CreditThresholdTrigger"]


def read_usage(client: BillingClient) -> Usage:
    """
    Read balance and consumption.

    :raises VideoDBResponseError: if there is more of it than the events of ten thousand waiters can carry.
    """
    usage = client.get_usage()
    size = len(json.dumps(usage.to_dict()))
    if size > MAX_USAGE_BYTES:
        raise VideoDBResponseError(f"VideoDB's breakdown of the usage has {size} bytes, more than {MAX_USAGE_BYTES}.")
    return usage


def read_checkouts(client: BillingClient) -> Mapping[str, Checkout]:
    """Read the list, the only view of a checkout there is."""
    return by_id(client.poll_checkouts())


async def payment_left_open(purchase: object, *, conn_id: str) -> str:
    """
    Say what remains payable of a purchase that nobody waits for any more; never fails.

    Whether it is paid meanwhile is looked up; where that cannot be told, what is recorded has to do.
    """
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

    now = datetime.now(UTC)
    try:
        recorded = Purchase.from_dict(purchase)
    except Exception as err:  # noqa: BLE001 - whatever it is, it is told
        return f"What was bought cannot be told: {describe(err)}"
    try:
        client = await VideoDBBillingHook(conn_id).aget_poll_client()
        return clean(last_look(recorded, by_id(await asyncio.to_thread(client.list_checkouts)), now=now))
    except Exception as err:  # noqa: BLE001 - as above
        return clean(f"{last_look(recorded, {}, now=now)} Whether it is paid could not be looked up: {describe(err)}")


class CreditThresholdTrigger(BillingTrigger):
    """
    Fires when the credit balance reaches a threshold.

    :param threshold: credits, as a number or a string that spells one (templates render to strings).
    :param end_from_trigger: end the task here instead of handing it to a worker.
    :param soft_fail: with ``end_from_trigger``: skip the task when the time is up.

    The other parameters are those of :class:`BillingTrigger`.
    """

    def __init__(
        self,
        *,
        threshold: float | str,
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        timeout: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        pause: dict[str, Any] | None = None,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            timeout=timeout,
            max_consecutive_failures=max_consecutive_failures,
            pause=pause,
        )
        self.threshold = threshold
        self.end_from_trigger = end_from_trigger
        self.soft_fail = soft_fail
        self._last_seen: Usage | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {
            "threshold": self.threshold,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }

    def watches(self) -> Sequence[Watch]:
        """Watch the balance."""
        return [Watch(read_usage, self.judge, self._begin_to_watch)]

    def judge(self, seen: Usage) -> dict[str, Any] | None:
        """Compare the balance with the threshold: ten thousand of these make one step of the event loop."""
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

    def _begin_to_watch(self) -> None:
        self._needed = credits_argument("threshold", self.threshold)
        self._last_seen = None


class CheckoutTrigger(BillingTrigger):
    """
    Fires when a checkout is paid, or can no longer be.

    :param purchase: the purchase that is waited for, in its JSON form.

    The other parameters are those of :class:`BillingTrigger`.
    """

    _payment: PaymentWatch

    def __init__(
        self,
        *,
        purchase: dict[str, Any],
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        timeout: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        pause: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            timeout=timeout,
            max_consecutive_failures=max_consecutive_failures,
            pause=pause,
        )
        self.purchase = purchase

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"purchase": self.purchase}

    def watches(self) -> Sequence[Watch]:
        """Watch the list of checkouts."""
        return [Watch(read_checkouts, self.judge, self._begin_to_watch)]

    def judge(self, seen: Mapping[str, Checkout]) -> dict[str, Any] | None:
        """Look for the purchase in the list: ten thousand of these make one step of the event loop."""
        settled = self._payment.paid(seen, now=self.now())
        if settled is None:
            return None
        return {"status": EventStatus.PAID, "purchase": settled.to_dict(), "deadline": self.deadline_now()}

    async def on_kill(self) -> None:
        """Have a last look when a user ends the wait, and say in the task's log what remains payable."""
        self.log.warning(await payment_left_open(self.purchase, conn_id=self.videodb_conn_id))

    def result(self) -> dict[str, Any]:
        """Return the purchase that was waited for."""
        return {"purchase": self.purchase, "deadline": self.deadline_now()}

    def _begin_to_watch(self) -> None:
        self._payment = PaymentWatch(Purchase.from_dict(self.purchase))
