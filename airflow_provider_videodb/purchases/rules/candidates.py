"""Which entries of VideoDB's list are a purchase's, or may be, over plain data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, Checkout, CheckoutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: How long a new checkout may take to show in the list before its absence means something, and how long VideoDB must
#: go on calling a checkout expired before that is believed.
SETTLING_TIME = timedelta(seconds=10)
#: How far VideoDB's clock and ours may differ.
CLOCK_SKEW = timedelta(minutes=5)
#: How long VideoDB may take over a POST.
POST_TIME = timedelta(minutes=5)
#: VideoDB may cut its dates to whole seconds.
DATE_STEP = timedelta(seconds=1)


def candidates(purchase: Purchase, checkouts: Sequence[Checkout]) -> list[Checkout]:
    """
    Return what a POST of this purchase may have made, and what is known to be its orphan.

    Amount and time tell; where the list does not say one of the two readably, the entry may be this purchase's.
    """
    return [checkout for checkout in checkouts if _may_be_ours(checkout, purchase)]


def recent_ids(checkouts: Iterable[Checkout], *, now: datetime) -> tuple[str, ...]:
    """Return the checkouts that a POST of now cannot have made, as far as their dates do not tell."""
    since = now - 2 * CLOCK_SKEW
    return tuple(
        checkout.id
        for checkout in checkouts
        if checkout.id and (checkout.created_at is None or checkout.created_at >= since)
    )


def remembered(seen: Mapping[str, Checkout], now: Sequence[Checkout]) -> dict[str, Checkout]:
    """
    Add to what earlier looks have shown what this one shows.

    An entry that was shown once is not forgotten, and one that was paid once is paid: a list may lie for a moment.
    """
    shown = {entry.id: entry for entry in now if entry.id is not None}
    paid = {one: entry for one, entry in seen.items() if entry.status == CheckoutStatus.COMPLETED}
    return {**seen, **shown, **paid}


def paid_ids(purchase: Purchase, listed: Mapping[str, Checkout]) -> tuple[str, ...]:
    """Return which checkouts known to be this purchase's are paid; the one that its link leads to comes first."""
    return tuple(
        checkout_id
        for checkout_id in purchase.watched
        if checkout_id in listed and listed[checkout_id].status == CheckoutStatus.COMPLETED
    )


def status_of(purchase: Purchase, listed: Mapping[str, Checkout]) -> str | None:
    """Return VideoDB's word for the state of the purchase's checkout, ``None`` if the list does not show it."""
    checkout = None if purchase.checkout_id is None else listed.get(purchase.checkout_id)
    return None if checkout is None else checkout.status


def made_at(purchase: Purchase, listed: Mapping[str, Checkout]) -> datetime | None:
    """Return when the purchase's checkout was made: by the list, or by when it was asked for."""
    own = listed.get(purchase.checkout_id or "")
    if own is not None and own.created_at is not None:
        return own.created_at
    return datetime.fromisoformat(purchase.posts[-1]) if purchase.posts else None


def can_have_expired(purchase: Purchase, listed: Mapping[str, Checkout], *, now: datetime) -> bool:
    """Say whether the purchase's checkout is as old as one becomes; where its age is unknown, it is not."""
    since = made_at(purchase, listed)
    return since is not None and now - since >= CHECKOUT_LIFETIME - CLOCK_SKEW


def in_words(checkouts: Iterable[Checkout]) -> str:
    """Name checkouts for a person who looks for them."""
    return "; ".join(
        f"{checkout.id}: {checkout.amount} {checkout.currency}, {checkout.status}, {checkout.created_at}"
        for checkout in checkouts
    )


def _may_be_ours(checkout: Checkout, purchase: Purchase) -> bool:
    if checkout.id in purchase.orphans:
        return True
    if checkout.id in purchase.excluded_ids or not _may_cost(checkout, purchase.amount):
        return False
    made_at = checkout.created_at
    return made_at is None or any(
        -CLOCK_SKEW - DATE_STEP <= made_at - datetime.fromisoformat(post) <= CLOCK_SKEW + POST_TIME
        for post in purchase.posts
    )


def _may_cost(checkout: Checkout, amount: int) -> bool:
    # VideoDB shows no amount for a subscription, and perhaps none for what was just paid.
    return checkout.amount is None or checkout.amount == amount
