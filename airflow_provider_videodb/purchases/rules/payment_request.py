"""What a person is told who is asked to pay. Pure."""

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
    A payment that a task waits for; ``task.payment`` in the templates of a notifier.

    :param url: where it is paid.
    :param amount: US dollars, or whole units of ``currency``.
    :param currency: as the task sends it; ``usd`` where it sends none.
    :param checkout_id: VideoDB's id of it; ``None`` where no answer and no list has named one yet.
    :param credits_missing: credits that the account was short of; ``None`` where the task does not say what it needs.
    :param expires_at: when the link can be paid no longer (ISO 8601, UTC), by VideoDB's documents.
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
