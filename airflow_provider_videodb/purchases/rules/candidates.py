"""Tells which listed checkouts may belong to a purchase."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, Checkout, CheckoutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: A new checkout may be missing from the list for this long. VideoDB must also call a checkout expired for this long
#: before we believe it.
LIST_LAG = timedelta(seconds=10)
#: VideoDB's clock and ours may differ by this much.
CLOCK_SKEW = timedelta(minutes=5)
#: VideoDB may take this long to carry out a POST.
POST_TIME = timedelta(minutes=5)
#: VideoDB may cut its dates to whole seconds.
DATE_STEP = timedelta(seconds=1)

_CURRENCY = re.compile(r"[A-Za-z]{3}")
_STATE = re.compile(r"[A-Za-z_]{1,40}")


def candidates(purchase: Purchase, checkouts: Sequence[Checkout]) -> list[Checkout]:
    """
    Return the checkouts that a POST of this purchase may have made.

    We compare amount and time. An entry that hides one of the two may belong to the purchase. Known orphans always do.
    """
    return [checkout for checkout in checkouts if _may_be_ours(checkout, purchase)]


def recent_ids(checkouts: Iterable[Checkout], *, now: datetime) -> tuple[str, ...]:
    """
    Return the listed checkouts that are too young to be told apart by date.

    A POST that is sent now cannot make them, because they exist already.
    """
    since = now - 2 * CLOCK_SKEW
    return tuple(
        checkout.id
        for checkout in checkouts
        if checkout.id and (checkout.created_at is None or checkout.created_at >= since)
    )


def remembered(seen: Mapping[str, Checkout], now: Sequence[Checkout]) -> dict[str, Checkout]:
    """
    Add the entries of this poll to those of earlier polls.

    The list may be wrong for a moment. So we keep an entry that was listed once, and what was paid once stays paid.
    """
    listed = {entry.id: entry for entry in now if entry.id is not None}
    paid = {one: entry for one, entry in seen.items() if entry.status == CheckoutStatus.COMPLETED}
    return {**seen, **listed, **paid}


def paid_ids(purchase: Purchase, listed: Mapping[str, Checkout]) -> tuple[str, ...]:
    """Return the paid checkouts of this purchase, its linked one first."""
    return tuple(
        checkout_id
        for checkout_id in purchase.watched
        if checkout_id in listed and listed[checkout_id].status == CheckoutStatus.COMPLETED
    )


def status_of(purchase: Purchase, listed: Mapping[str, Checkout]) -> str | None:
    """Return VideoDB's state of the purchase's checkout, ``None`` if it is not listed."""
    checkout = None if purchase.checkout_id is None else listed.get(purchase.checkout_id)
    return None if checkout is None else checkout.status


def made_at(purchase: Purchase, listed: Mapping[str, Checkout]) -> datetime | None:
    """Return when the purchase's checkout was made: its listed date, else the time of the POST."""
    own = listed.get(purchase.checkout_id or "")
    if own is not None and own.created_at is not None:
        return own.created_at
    return datetime.fromisoformat(purchase.posts[-1]) if purchase.posts else None


def can_have_expired(purchase: Purchase, listed: Mapping[str, Checkout], *, now: datetime) -> bool:
    """Say whether the purchase's checkout is old enough to expire; an unknown age is not."""
    since = made_at(purchase, listed)
    return since is not None and now - since >= CHECKOUT_LIFETIME - CLOCK_SKEW


def describe_checkout(checkout: Checkout) -> str:
    """
    Describe a listed checkout so that a person finds it in the console.

    A currency or state of an odd form is not repeated, because it comes from outside.
    """
    amount = "an unreadable amount" if checkout.amount is None else plain_amount(checkout.amount)
    state = checkout.status if _STATE.fullmatch(checkout.status) else "in an unreadable state"
    made = "on an unreadable date" if checkout.created_at is None else describe_moment(checkout.created_at)
    return f"{checkout.id or 'without an id'}: {amount} {currency_name(checkout.currency)}, {state}, made {made}"


def currency_name(currency: str | None) -> str:
    """Return the code of a currency, unless it has an odd form."""
    return currency.upper() if currency and _CURRENCY.fullmatch(currency) else "of an unknown currency"


def describe_moment(moment: datetime) -> str:
    """Return a moment in UTC, to the second: ``2026-01-15 12:00:00 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def plain_amount(amount: Decimal | int) -> str:
    """Write dollars without an exponent or idle zeros: 50 and 12.5."""
    return f"{Decimal(amount).normalize():f}"


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
    # VideoDB lists no amount for a subscription, and perhaps none for a checkout that was just paid.
    return checkout.amount is None or checkout.amount == amount
