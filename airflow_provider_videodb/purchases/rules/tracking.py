"""Tracks a checkout until it is paid or cannot be."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG, can_have_expired, paid_ids, status_of
from airflow_provider_videodb.purchases.rules.messages import expired_error, missing_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: A checkout may be missing from the list for this long.
MISSING_GRACE = timedelta(seconds=60)
#: A checkout that was listed before may be missing from fewer polls in a row than this.
MAX_MISSED_POLLS = 3

log = logging.getLogger(__name__)


class PaymentTracker:
    """
    Tracks one purchase over successive polls of the list.

    One poll proves a payment. It proves neither that a checkout is gone nor that it has expired. An undocumented state
    proves nothing, so the wait continues.

    :param purchase: with the id of its checkout.
    """

    def __init__(self, purchase: Purchase) -> None:
        self._purchase = purchase
        self._was_listed = False
        self._missing_since: datetime | None = None
        self._missed_polls = 0
        self._expired_since: datetime | None = None
        self._known_states: set[str] = set(CheckoutStatus)
        #: Whether the latest poll listed the checkout as open.
        self.is_open = False

    def check(self, listed: Mapping[str, Checkout], *, now: datetime) -> Purchase | None:
        """
        Return the purchase once it is paid, else ``None``.

        The cost does not grow with the list, because this runs for every waiting task at every poll. The paid checkout
        may be an orphan. The worker then reads the claims, because another task may own it.

        :param listed: the list of checkouts by id.
        :raises VideoDBCheckoutExpiredError: if two polls some seconds apart call it expired and unpaid.
        :raises VideoDBCheckoutMissingError: if it is missing for longer than list lag explains.
        """
        purchase = self._purchase
        if paid := paid_ids(purchase, listed):
            return purchase.marked_paid(paid, at=now)
        status = status_of(purchase, listed)
        # An undocumented state may mean that somebody is paying.
        self.is_open = status == CheckoutStatus.PENDING
        if status is None:
            self._note_missing(now)
        else:
            self._was_listed, self._missing_since, self._missed_polls = True, None, 0
            self._note_unknown(status)
        if status != CheckoutStatus.EXPIRED:
            self._expired_since = None
            return None
        self._expired_since = _earlier(self._expired_since, now)
        if now - self._expired_since >= LIST_LAG:
            raise expired_error(purchase, listed, now=now)
        return None

    def _note_missing(self, now: datetime) -> None:
        self._missing_since = _earlier(self._missing_since, now)
        self._missed_polls += 1
        is_gone = self._was_listed and self._missed_polls >= MAX_MISSED_POLLS
        if is_gone or now - self._missing_since >= MISSING_GRACE:
            raise missing_error(self._purchase)

    def _note_unknown(self, status: str) -> None:
        """Log an undocumented state once. It does not count as paid."""
        if status not in self._known_states:
            self._known_states.add(status)
            log.warning("VideoDB lists checkout %s in state %r.", self._purchase.checkout_id, status)
            log.warning("Its documentation does not describe this state. The wait continues.")


def describe_open_payment(purchase: Purchase, listed: Mapping[str, Checkout], *, now: datetime) -> str:
    """
    Describe what people can still pay after a wait has ended.

    :param listed: the list of checkouts by id.
    """
    if not purchase.link_shared:
        return f"Nobody has a link to pay the {purchase.price} that this task asked for."
    name = f"Checkout {purchase.checkout_id} for {purchase.price}"
    if paid := paid_ids(purchase, listed):
        price = purchase.marked_paid(paid).price_paid
        was_paid = f"Checkout {', '.join(paid)} for {price} was paid. Its credits are on the account."
        if purchase.checkout_id in paid:
            return was_paid
        # An orphan was paid, so the link that people have may still be payable.
        return f"{was_paid} Do not also pay checkout {purchase.checkout_id}: {purchase.payment_url}"
    if status_of(purchase, listed) == CheckoutStatus.EXPIRED and can_have_expired(purchase, listed, now=now):
        return f"{name} expired unpaid, so it can no longer be paid."
    return f"{name} can be paid until it expires, because VideoDB cannot cancel one: {purchase.payment_url}"


def _earlier(since: datetime | None, now: datetime) -> datetime:
    # A clock that is set back must not extend a grace period until it has caught up.
    return now if since is None or since > now else since
