"""Following a checkout until it is paid or can no longer be, over plain data."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus
from airflow_provider_videodb.purchases.rules.candidates import SETTLING_TIME, can_have_expired, paid_ids, status_of
from airflow_provider_videodb.purchases.rules.messages import expired_error, missing_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: How long a checkout that a wait has not seen yet may stay out of the list.
MISSING_GRACE = timedelta(seconds=60)
#: How many looks in a row may miss a checkout that a wait has seen before.
MAX_MISSING_LOOKS = 3

log = logging.getLogger(__name__)


class PaymentTracker:
    """
    Follows one purchase through successive looks at the list, which comes by id.

    One look proves a payment, but neither that a checkout is gone nor that it has expired. A state that nobody knows
    proves nothing, so it is waited through.

    :param purchase: with the id of its checkout.
    """

    def __init__(self, purchase: Purchase) -> None:
        self._purchase = purchase
        self._seen = False
        self._missing_since: datetime | None = None
        self._missing_looks = 0
        self._expired_since: datetime | None = None
        self._told_of: set[str] = set(CheckoutStatus)

    def paid(self, listed: Mapping[str, Checkout], *, now: datetime) -> Purchase | None:
        """
        Return the purchase with what of it is paid, ``None`` while it can still be.

        Costs the same however long the list is: it runs for every waiter at every poll.

        That may be an orphan; whether it is really this task's is for the worker to tell, who can read the claims.

        :raises VideoDBCheckoutExpiredError: if it expired unpaid, by two looks some seconds apart.
        :raises VideoDBCheckoutMissingError: if the list does not show it, beyond what lag explains.
        """
        purchase = self._purchase
        if paid := paid_ids(purchase, listed):
            return purchase.marked_paid(paid, at=now)
        status = status_of(purchase, listed)
        if status is None:
            self._note_missing(now)
        else:
            self._seen, self._missing_since, self._missing_looks = True, None, 0
            self._note_unknown(status)
        if status != CheckoutStatus.EXPIRED:
            self._expired_since = None
            return None
        self._expired_since = _earlier(self._expired_since, now)
        if now - self._expired_since >= SETTLING_TIME:
            raise expired_error(purchase, listed, now=now)
        return None

    def _note_missing(self, now: datetime) -> None:
        self._missing_since = _earlier(self._missing_since, now)
        self._missing_looks += 1
        gone = self._seen and self._missing_looks >= MAX_MISSING_LOOKS
        if gone or now - self._missing_since >= MISSING_GRACE:
            raise missing_error(self._purchase)

    def _note_unknown(self, status: str) -> None:
        """Say once that VideoDB uses a word that nobody knows; it is not taken for paid."""
        if status not in self._told_of:
            self._told_of.add(status)
            log.warning(
                "VideoDB shows checkout %s in the state %r, which its documents do not know. Waiting for its payment "
                "goes on.",
                self._purchase.checkout_id,
                status,
            )


def _earlier(since: datetime | None, now: datetime) -> datetime:
    # A clock that is set back must not make a grace period last until it has caught up.
    return now if since is None or since > now else since


def describe_open_payment(purchase: Purchase, listed: Mapping[str, Checkout], *, now: datetime) -> str:
    """Say what remains of a purchase that nobody waits for any more."""
    if not purchase.link_shared:
        return f"Nobody has been shown a link to pay the {purchase.price} that were asked for."
    what = f"Checkout {purchase.checkout_id} over {purchase.price}"
    if paid := paid_ids(purchase, listed):
        price = purchase.marked_paid(paid).price_paid
        was_paid = f"Checkout {', '.join(paid)} over {price} was paid: its credits are on the account."
        if purchase.checkout_id in paid:
            return was_paid
        # What is paid is an orphan, so the link that people have may be payable still.
        return f"{was_paid} Do not pay the link of {purchase.checkout_id} as well: {purchase.payment_url}"
    if status_of(purchase, listed) == CheckoutStatus.EXPIRED and can_have_expired(purchase, listed, now=now):
        return f"{what} expired unpaid: nothing can be paid any more."
    return f"{what} stays payable until it expires, and there is no call to cancel it: {purchase.payment_url}"
