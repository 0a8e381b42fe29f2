"""What a person reads of a purchase that cannot go on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBPurchaseUnknownError,
    VideoDBResponseError,
)
from airflow_provider_videodb.purchases.rules.candidates import can_have_expired, in_words, made_at
from airflow_provider_videodb.purchases.rules.resolution import how_to_resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


def missing_error(purchase: Purchase) -> VideoDBCheckoutMissingError:
    """Return the error for a checkout that the list does not show."""
    name = purchase.checkout_id or "that was just made"
    link_shared = f" Its link may still be payable: {purchase.payment_url}" if purchase.link_shared else ""
    return VideoDBCheckoutMissingError(
        f"Checkout {name} over {purchase.price} is not in VideoDB's list, so whether it was paid cannot be told."
        f"{link_shared} Look for it in VideoDB's console, and check that the connection still leads to the account "
        "that it was made on. A retry of the task looks again and makes no second one."
    )


def expired_error(purchase: Purchase, listed: Mapping[str, Checkout], *, now: datetime) -> VideoDBCheckoutExpiredError:
    """Return the error for a checkout that VideoDB calls expired, whether that can be so or not."""
    name = f"Checkout {purchase.checkout_id} over {purchase.price}"
    if can_have_expired(purchase, listed, now=now):
        return VideoDBCheckoutExpiredError(
            f"{name} expired unpaid: its link cannot be paid any more. Retry or clear the task to get a new link."
        )
    return VideoDBCheckoutExpiredError(
        f"VideoDB calls {name[0].lower()}{name[1:]} expired. It was made at {made_at(purchase, listed)}, and VideoDB's "
        "documents say that a checkout lives 24 hours, so its link may still be payable. Nothing more was bought. A "
        f"retry looks again. {how_to_resolve(purchase)}"
    )


def undecided_error(purchase: Purchase, undecided: Sequence[Checkout]) -> VideoDBResponseError:
    """Return the error for lost answers whose checkouts are in states that nobody knows."""
    return VideoDBResponseError(
        f"A top-up of {purchase.price} was asked for at {purchase.posts[-1]} and its answer was lost. VideoDB "
        f"lists what may be its checkout in a state that its documents do not know: {in_words(undecided)}. Nothing "
        "more was bought. A retry of the task looks again."
    )


def another_account_error(purchase: Purchase) -> VideoDBPurchaseUnknownError:
    """Return the error for a lost answer of an account that the connection does not lead to any more."""
    return VideoDBPurchaseUnknownError(
        f"A top-up of {purchase.price} was asked for at {purchase.posts[-1]} and its answer was lost or named no "
        "checkout. The connection has had another key or address since, so whether the first account was charged "
        f"cannot be told. Nothing more was bought. {how_to_resolve(purchase)}"
    )


def cannot_tell_error(purchase: Purchase, found: Sequence[Checkout]) -> VideoDBPurchaseUnknownError:
    """Return the error for a purchase that may be one of several checkouts."""
    return VideoDBPurchaseUnknownError(
        f"A top-up of {purchase.price} was asked for at {purchase.posts[-1]} and its answer was lost or named no "
        f"checkout. Whether it is one of these cannot be told: {in_words(found)}. Nothing more was bought. "
        f"{how_to_resolve(purchase)}"
    )
