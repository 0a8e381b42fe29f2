"""Holds what notifiers tell the person who pays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


@dataclass(frozen=True, kw_only=True)
class PaymentRequest:
    """
    A payment that a task waits for: ``task.payment`` in a notifier's templates.

    :param url: the payment link.
    :param amount: US dollars, or whole units of ``currency``.
    :param currency: the currency that the task sends; ``usd`` if it sends none.
    :param checkout_id: VideoDB's id of the checkout; ``None`` while neither a response nor the list names it.
    :param credits_missing: credits that the account lacks; ``None`` if the task does not say what it needs.
    :param expires_at: when the link stops being payable, by VideoDB's documents (ISO 8601, UTC).
    :param run_url: the page of the task instance in Airflow.
    """

    url: str
    amount: int
    currency: str
    checkout_id: str | None
    credits_missing: float | None
    expires_at: str | None
    run_url: str

    @classmethod
    def of(cls, purchase: Purchase, *, credits_missing: float | None, run_url: str) -> PaymentRequest:
        """Return the request for a purchase that has a link."""
        asked_at = datetime.fromisoformat(purchase.posts[-1]) if purchase.posts else None
        return cls(
            url=purchase.payment_url or "",
            amount=purchase.amount,
            currency=purchase.currency or "usd",
            checkout_id=purchase.checkout_id,
            credits_missing=credits_missing,
            expires_at=None if asked_at is None else (asked_at + CHECKOUT_LIFETIME).isoformat(timespec="seconds"),
            run_url=run_url,
        )
