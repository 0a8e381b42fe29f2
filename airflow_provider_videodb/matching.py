"""Which entries of VideoDB's list are a purchase's, or may be, over plain data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBResponseError
from airflow_provider_videodb.models import Checkout, CheckoutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_videodb.record import Purchase

#: How far VideoDB's clock and ours may differ.
CLOCK_SKEW = timedelta(minutes=5)
#: How long VideoDB may take over a POST.
POST_TIME = timedelta(minutes=5)
#: VideoDB may cut its dates to whole seconds.
DATE_STEP = timedelta(seconds=1)


def candidates(purchase: Purchase, checkouts: Sequence[Checkout]) -> list[Checkout]:
    """Return what a POST of this purchase may have made, by amount and time, and what is known to be its orphan."""
    return [checkout for checkout in checkouts if _may_be_ours(checkout, purchase)]


def paid_ids(purchase: Purchase, listed: Mapping[str, Checkout]) -> tuple[str, ...]:
    """Return which checkouts known to be this purchase's are paid; the one that its link leads to comes first."""
    ours = dict.fromkeys((purchase.checkout_id, *purchase.orphans))
    return tuple(
        checkout_id
        for checkout_id in ours
        if checkout_id is not None and checkout_id in listed and listed[checkout_id].status == CheckoutStatus.COMPLETED
    )


def status_of(purchase: Purchase, listed: Mapping[str, Checkout]) -> CheckoutStatus | None:
    """
    Return the state of the purchase's checkout, ``None`` if the list does not show it.

    :raises VideoDBResponseError: if it is a word that VideoDB's documents do not know.
    """
    checkout = None if purchase.checkout_id is None else listed.get(purchase.checkout_id)
    if checkout is None:
        return None
    try:
        return CheckoutStatus(checkout.status)
    except ValueError:
        raise VideoDBResponseError(
            f"Checkout {checkout.id} has the status {checkout.status!r}, which VideoDB's documents do not know; it is "
            "not taken for paid. Look at it in VideoDB's console."
        ) from None


def in_words(checkouts: Iterable[Checkout]) -> str:
    """Name checkouts for a person who looks for them."""
    return "; ".join(
        f"{checkout.id}: {checkout.amount} {checkout.currency}, {checkout.status}, {checkout.created_at}"
        for checkout in checkouts
    )


def _may_be_ours(checkout: Checkout, purchase: Purchase) -> bool:
    if checkout.id in purchase.orphans:
        return True
    if checkout.id in purchase.not_ours or checkout.amount != purchase.amount or checkout.created_at is None:
        return False
    return any(
        -CLOCK_SKEW - DATE_STEP <= checkout.created_at - datetime.fromisoformat(post) <= CLOCK_SKEW + POST_TIME
        for post in purchase.posts
    )
