"""The result of a task that buys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


def task_result(
    purchase: Purchase | None = None,
    *,
    status: str,
    balance_before: float | None = None,
    balance_after: float | None = None,
) -> dict[str, Any]:
    """Return the result of a purchasing task; its keys are always the same."""
    if purchase is None:
        bought: dict[str, Any] = dict.fromkeys(("checkout_id", "amount", "currency", "payment_url"))
    else:
        balance_before = purchase.balance_before
        bought = {
            "checkout_id": purchase.paid[0] if purchase.paid else purchase.checkout_id,
            "amount": purchase.amount_paid,
            "currency": purchase.currency,
            # A limit may have kept the link from being shared. Then it must not leave the task here either.
            "payment_url": purchase.payment_url if purchase.link_shared or purchase.paid else None,
        }
    return {**bought, "status": status, "balance_before": balance_before, "balance_after": balance_after}
