"""Waiting for the payment of a checkout, without a worker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker, describe_open_payment
from airflow_provider_videodb.triggers._base import MAX_CONSECUTIVE_FAILURES, BillingTrigger, Watch
from airflow_provider_videodb.triggers._encoding import clean, describe
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.api.models import Checkout


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
        return clean(describe_open_payment(recorded, by_id(await asyncio.to_thread(client.list_checkouts)), now=now))
    except Exception as err:  # noqa: BLE001 - as above
        return clean(
            f"{describe_open_payment(recorded, {}, now=now)} Whether it is paid could not be looked up: {describe(err)}"
        )


class CheckoutTrigger(BillingTrigger):
    """
    Fires when a checkout is paid, or can no longer be.

    :param purchase: the purchase that is waited for, in its JSON form.

    The other parameters are those of :class:`BillingTrigger`.
    """

    _payment: PaymentTracker

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
        settled = self._payment.check(seen, now=self.now())
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
        self._payment = PaymentTracker(Purchase.from_dict(self.purchase))
