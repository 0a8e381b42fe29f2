"""Applies a person's resolution of an unknown outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.rules.candidates import candidates, paid_ids, status_of
from airflow_provider_videodb.purchases.rules.purchase import Purchase, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A person writes this word if none of the checkouts belongs to the task.
BUY = "buy"
_KNOWN = tuple(CheckoutStatus)


def apply_resolution(purchase: Purchase, resolution: str, checkouts: Sequence[Checkout]) -> Purchase:
    """
    Return the purchase as a person resolved it.

    :param resolution: the id of this task's checkout, or :data:`BUY` if there is none.
    :raises VideoDBPurchaseUnknownError: if the resolution cannot be applied.
    """
    listed = by_id(checkouts)
    if purchase.paid or paid_ids(purchase, listed):
        # The outcome is known.
        return purchase
    expired = status_of(purchase, listed) == CheckoutStatus.EXPIRED
    if resolution != BUY:
        return _with_named(purchase, resolution, checkouts, expired=expired)
    if purchase.link_shared and not expired:
        raise VideoDBPurchaseUnknownError(
            f"The resolution is {BUY!r}, but this task has shared a link that can still be paid:\n"
            f"{purchase.payment_url}\nNothing was bought. Next step: delete the Airflow Variable "
            f"{resolution_variable(purchase)} and clear the task to wait for that payment. Or start a new DAG run to "
            "buy again."
        )
    return _restarted(purchase, checkouts)


def resolution_variable(purchase: Purchase) -> str:
    """Return the name of the Airflow Variable that holds the resolution."""
    return f"videodb_resolution_{purchase.key[:16]}"


def how_to_resolve(purchase: Purchase) -> str:
    """Tell a person how to write the resolution, one way per line."""
    name = resolution_variable(purchase)
    return (
        "Next step: find this task's checkout in VideoDB's console. Set the Variable below to its id, or to "
        f"{BUY} if there is none. Then clear the task.\n"
        f"UI: Admin > Variables, set {name} to CHECKOUT_ID\n"
        f"UI: Admin > Variables, set {name} to {BUY}\n"
        f"airflow variables set {name} CHECKOUT_ID\n"
        f"airflow variables set {name} {BUY}\n"
        "Or let this command list the candidates, check your choice and write it:\n"
        "airflow videodb answer"
    )


def _with_named(purchase: Purchase, resolution: str, checkouts: Sequence[Checkout], *, expired: bool) -> Purchase:
    named = by_id(checkouts).get(resolution)
    if named is None or named.status not in _KNOWN:
        why = "names a checkout in an undocumented state" if named else f"is neither {BUY!r} nor the id of a checkout"
        raise VideoDBPurchaseUnknownError(
            f"The resolution {resolution!r} {why}. Nothing was bought. {how_to_resolve(purchase)}"
        )
    if named.status == CheckoutStatus.COMPLETED:
        return purchase.matched(named).marked_paid([resolution])
    if expired:
        return purchase
    if purchase.payment_url is not None:
        return purchase.matched(named)
    # Nobody has its link, so it is an orphan. The next decision asks for another checkout.
    return replace(_restarted(purchase, checkouts), orphans=merged(purchase.orphans, [resolution]))


def _restarted(purchase: Purchase, checkouts: Sequence[Checkout]) -> Purchase:
    """Forget what was sent. An expired candidate also needs another key, because VideoDB may return it for this one."""
    restarted = purchase.restarted()
    if any(checkout.status == CheckoutStatus.EXPIRED for checkout in candidates(purchase, checkouts)):
        return replace(restarted, generation=restarted.generation + 1)
    return restarted
