"""What a person says of a purchase whose outcome could not be told, over plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.rules.candidates import candidates, paid_ids, status_of
from airflow_provider_videodb.purchases.rules.purchase import Purchase, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A person's word for "none of these is mine, buy".
BUY = "buy"
_KNOWN = tuple(CheckoutStatus)


def apply_resolution(purchase: Purchase, answer: str, checkouts: Sequence[Checkout]) -> Purchase:
    """
    Apply what a person says of a purchase whose outcome could not be told.

    :param answer: the id of the checkout that was this task's, or :data:`BUY` if none was.
    :raises VideoDBPurchaseUnknownError: if the answer cannot be followed.
    """
    listed = by_id(checkouts)
    if purchase.paid or paid_ids(purchase, listed):
        # There is nothing left to tell.
        return purchase
    expired = status_of(purchase, listed) == CheckoutStatus.EXPIRED
    if answer != BUY:
        return _with_named(purchase, answer, checkouts, expired=expired)
    if purchase.link_shared and not expired:
        raise VideoDBPurchaseUnknownError(
            f"The answer is {BUY!r}, but a link of this task was handed out and may still be paid: "
            f"{purchase.payment_url} Nothing was bought. Remove the Airflow Variable {answer_variable(purchase)} and "
            "clear the task to wait for that payment, or start a new DAG run to buy again."
        )
    return _anew(purchase, checkouts)


def answer_variable(purchase: Purchase) -> str:
    """Return the name of the Airflow Variable in which a person answers for this purchase."""
    return f"videodb_answer_{purchase.key[:16]}"


def how_to_resolve(purchase: Purchase) -> str:
    """Tell a person how to go on."""
    name = answer_variable(purchase)
    return (
        f"Look at the checkouts in VideoDB's console, then either run `airflow variables set {name} CHECKOUT_ID` (it "
        f"was this one) or `airflow variables set {name} {BUY}` (none of them, buy), and clear the task."
    )


def _with_named(purchase: Purchase, answer: str, checkouts: Sequence[Checkout], *, expired: bool) -> Purchase:
    named = by_id(checkouts).get(answer)
    if named is None or named.status not in _KNOWN:
        state = "in no state that VideoDB's documents know" if named else "the id of no checkout in VideoDB's list"
        raise VideoDBPurchaseUnknownError(
            f"The answer {answer!r} is not {BUY!r}, and {state}. Nothing was bought. {how_to_resolve(purchase)}"
        )
    if named.status == CheckoutStatus.COMPLETED:
        return purchase.matched(named).marked_paid([answer])
    if expired:
        return purchase
    if purchase.payment_url is not None:
        return purchase.matched(named)
    # Its link is lost, so it is an orphan: the next step asks for another one.
    return replace(_anew(purchase, checkouts), orphans=merged(purchase.orphans, [answer]))


def _anew(purchase: Purchase, checkouts: Sequence[Checkout]) -> Purchase:
    """Forget what was sent; where some of it may have expired, its key too, which could bring that back."""
    anew = purchase.restarted()
    if any(checkout.status == CheckoutStatus.EXPIRED for checkout in candidates(purchase, checkouts)):
        return replace(anew, generation=anew.generation + 1)
    return anew
