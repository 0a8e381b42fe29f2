"""Following a checkout until it is paid or can no longer be, over plain data."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBCheckoutExpiredError
from airflow_provider_videodb.matching import paid_ids, status_of
from airflow_provider_videodb.models import Checkout, CheckoutStatus
from airflow_provider_videodb.purchase import missing_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_videodb.record import Purchase

#: How long a checkout that a wait has not seen yet may stay out of the list.
MISSING_GRACE = timedelta(seconds=60)
#: How many looks in a row may miss a checkout that a wait has seen before.
MAX_MISSING_LOOKS = 3


class PaymentWatch:
    """
    Follows one purchase through successive looks at the list, which comes by id.

    :param purchase: with the id of its checkout.
    """

    def __init__(self, purchase: Purchase) -> None:
        self._purchase = purchase
        self._seen = False
        self._missing_since: datetime | None = None
        self._missing_looks = 0

    def paid(self, listed: Mapping[str, Checkout], *, now: datetime) -> Purchase | None:
        """
        Return the purchase with what of it is paid, ``None`` while it can still be.

        Costs the same however long the list is: it runs for every waiter at every poll.

        That may be an orphan; whether it is really this task's is for the worker to tell, who can read the claims.

        :raises VideoDBCheckoutExpiredError: if it expired unpaid.
        :raises VideoDBCheckoutMissingError: if the list does not show it, beyond what lag explains.
        :raises VideoDBResponseError: if its state is a word we do not know.
        """
        purchase = self._purchase
        if paid := paid_ids(purchase, listed):
            return purchase.settled(paid)
        status = status_of(purchase, listed)
        if status is CheckoutStatus.EXPIRED:
            raise VideoDBCheckoutExpiredError(
                f"Checkout {purchase.checkout_id} over {purchase.amount} USD expired unpaid: its link cannot be paid "
                "any more. Retry or clear the task to get a new link."
            )
        if status is CheckoutStatus.PENDING:
            self._seen, self._missing_since, self._missing_looks = True, None, 0
            return None
        self._missing_since = self._missing_since or now
        self._missing_looks += 1
        gone = self._seen and self._missing_looks >= MAX_MISSING_LOOKS
        if gone or now - self._missing_since >= MISSING_GRACE:
            raise missing_error(purchase)
        return None


def last_look(purchase: Purchase, listed: Mapping[str, Checkout]) -> str:
    """Say what remains of a purchase that nobody waits for any more."""
    if not purchase.handed_out:
        return f"Nobody has been shown a link to pay the {purchase.amount} USD that were asked for."
    what = f"Checkout {purchase.checkout_id} over {purchase.amount} USD"
    if paid := paid_ids(purchase, listed):
        was_paid = f"Checkout {', '.join(paid)} over {purchase.amount} USD was paid: its credits are on the account."
        if purchase.checkout_id in paid:
            return was_paid
        # What is paid is an orphan, so the link that people have may be payable still.
        return f"{was_paid} Do not pay the link of {purchase.checkout_id} as well: {purchase.payment_url}"
    status = status_of(purchase, listed)
    if status is CheckoutStatus.EXPIRED:
        return f"{what} expired unpaid: nothing can be paid any more."
    return f"{what} stays payable until it expires, and there is no call to cancel it: {purchase.payment_url}"
