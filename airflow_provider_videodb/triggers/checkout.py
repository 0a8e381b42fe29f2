"""Waits for the payment of a checkout, without a worker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker, describe_open_payment
from airflow_provider_videodb.triggers._base import BillingTrigger, Watch
from airflow_provider_videodb.triggers._encoding import clean, describe
from airflow_provider_videodb.triggers._poll_metrics import PollKind
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.triggers._accounts import Account
    from airflow_provider_videodb.triggers._base import WaitArguments


def fetch_checkouts(account: Account) -> Mapping[str, Checkout]:
    """Read the list, because VideoDB has no call for a single checkout."""
    return by_id(account.client.poll_checkouts())


async def payment_left_open(purchase: object, *, conn_id: str) -> str:
    """
    Say what remains payable after a wait; never fails.

    It reads the list once more. If that fails, it says what is recorded.

    :param purchase: the purchase in JSON form.
    """
    now = datetime.now(UTC)
    try:
        recorded = Purchase.from_dict(purchase)
    except Exception as err:  # noqa: BLE001 - the log is told of every error
        return describe(err)
    try:
        client = await VideoDBBillingHook(conn_id).aget_poll_client()
        return clean(describe_open_payment(recorded, by_id(await asyncio.to_thread(client.list_checkouts)), now=now))
    except Exception as err:  # noqa: BLE001 - the log is told of every error
        return clean(
            f"{describe_open_payment(recorded, {}, now=now)} VideoDB could not be asked whether it was paid: "
            f"{describe(err)}"
        )


class CheckoutTrigger(BillingTrigger):
    """
    Fires when a checkout is paid or can no longer be paid, or when a reminder is due.

    The other parameters are those of :class:`BillingTrigger`.

    :param purchase: the purchase in JSON form.
    """

    _payment: PaymentTracker

    def __init__(self, *, purchase: dict[str, Any], **wait: Unpack[WaitArguments]) -> None:
        super().__init__(**wait)
        self.purchase = purchase

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"purchase": self.purchase}

    def watches(self) -> Sequence[Watch]:
        """Poll the list of checkouts."""
        return [Watch(fetch_checkouts, self.on_checkouts, self._start_tracking, PollKind.CHECKOUTS)]

    def on_checkouts(self, listed: Mapping[str, Checkout]) -> dict[str, Any] | None:
        """Return the event of a payment, if the list shows one, or of a reminder of an open checkout."""
        paid = self._payment.check(listed, now=self.now())
        if paid is not None:
            return {"status": EventStatus.PAID, "purchase": paid.to_dict(), "deadline": self.deadline_now()}
        return self.reminder() if self._payment.is_open else None

    async def on_kill(self) -> None:
        """Log what remains payable when a user ends the wait."""
        self.log.warning(await payment_left_open(self.purchase, conn_id=self.videodb_conn_id))

    def event_payload(self) -> dict[str, Any]:
        """Return the purchase that is still unpaid."""
        return {"purchase": self.purchase, "deadline": self.deadline_now()}

    def _start_tracking(self) -> None:
        self._payment = PaymentTracker(Purchase.from_dict(self.purchase))
