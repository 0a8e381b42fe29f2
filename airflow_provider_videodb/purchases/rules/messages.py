"""Writes the errors of a purchase that cannot continue."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBPurchaseUnknownError,
    VideoDBResponseError,
)
from airflow_provider_videodb.purchases.rules.candidates import (
    can_have_expired,
    describe_checkout,
    describe_moment,
    made_at,
)
from airflow_provider_videodb.purchases.rules.resolution import how_to_resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


def missing_error(purchase: Purchase) -> VideoDBCheckoutMissingError:
    """Return the error for a checkout that is not listed."""
    name = purchase.checkout_id or "that was just made"
    link = f" Its link may still be payable:\n{purchase.payment_url}\n" if purchase.link_shared else " "
    return VideoDBCheckoutMissingError(
        f"Checkout {name} for {purchase.price} is not in VideoDB's list, so it is unknown whether it was paid. "
        f"Nothing more was bought.{link}Next step: look for it in VideoDB's console. Check that the connection still "
        "uses that account. Then retry the task, which makes no second checkout."
    )


def expired_error(purchase: Purchase, listed: Mapping[str, Checkout], *, now: datetime) -> VideoDBCheckoutExpiredError:
    """Return the error for a checkout that VideoDB calls expired."""
    name = f"{purchase.checkout_id} for {purchase.price}"
    if can_have_expired(purchase, listed, now=now):
        return VideoDBCheckoutExpiredError(
            f"Checkout {name} expired unpaid, so its link can no longer be paid. Nothing more was bought. "
            "Next step: retry or clear the task to get a new link."
        )
    since = made_at(purchase, listed)
    made = "its age is unknown" if since is None else f"it was made {describe_moment(since)}"
    return VideoDBCheckoutExpiredError(
        f"VideoDB calls checkout {name} expired, but {made} and a checkout lives for 24 hours. So its link may "
        f"still be payable. Nothing more was bought. {how_to_resolve(purchase)}"
    )


def undecided_error(purchase: Purchase, undecided: Sequence[Checkout]) -> VideoDBResponseError:
    """Return the error for candidates in undocumented states."""
    return VideoDBResponseError(
        f"{_post_without_outcome(purchase)} VideoDB lists these candidates in a state that its documentation does not "
        f"describe:\n{_by_line(undecided)}\nNothing more was bought. Next step: retry the task later, when VideoDB "
        "lists another state."
    )


def another_account_error(purchase: Purchase) -> VideoDBPurchaseUnknownError:
    """Return the error for an unknown outcome at another account."""
    return VideoDBPurchaseUnknownError(
        f"{_post_without_outcome(purchase)} The connection has another key or address now, so it is unknown whether "
        f"the first account was charged. Nothing more was bought. {how_to_resolve(purchase)}"
    )


def cannot_tell_error(purchase: Purchase, found: Sequence[Checkout]) -> VideoDBPurchaseUnknownError:
    """Return the error for a purchase with several candidates."""
    return VideoDBPurchaseUnknownError(
        f"{_post_without_outcome(purchase)} Any of these candidates may be its checkout:\n{_by_line(found)}\n"
        f"Nothing more was bought. {how_to_resolve(purchase)}"
    )


def _post_without_outcome(purchase: Purchase) -> str:
    sent = describe_moment(datetime.fromisoformat(purchase.posts[-1]))
    return f"This task asked for {purchase.price} at {sent}, but no response named a checkout."


def _by_line(checkouts: Sequence[Checkout]) -> str:
    return "\n".join(describe_checkout(checkout) for checkout in checkouts)
