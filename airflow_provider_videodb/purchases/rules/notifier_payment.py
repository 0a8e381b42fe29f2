"""Holds what notifiers tell the person who pays."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from airflow_provider_videodb.api.parsing import to_decimal, to_json_number
from airflow_provider_videodb.purchases.rules.required_action import Shortage, expires_at

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


class PaymentEvent(StrEnum):
    """What has just happened to a payment."""

    #: A new link can be paid.
    REQUESTED = "requested"
    #: Nobody has paid the link yet.
    REMINDER = "reminder"
    PAID = "paid"
    #: The link can no longer be paid.
    EXPIRED = "expired"
    #: The task failed while it waited.
    FAILED = "failed"
    #: The account has enough credits although nobody paid.
    NOT_NEEDED = "not_needed"


class TaskInstance(Protocol):
    """Airflow's task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None

    @property
    def log_url(self) -> str:
        """The page of the task instance."""
        ...


@dataclass(frozen=True, kw_only=True)
class PaymentRequest:
    """
    A payment that a task waits for: ``task.payment`` in a notifier's templates.

    :param url: the payment link.
    :param amount: US dollars, or whole units of ``currency``.
    :param currency: the currency that the task sends; ``usd`` if it sends none.
    :param checkout_id: VideoDB's id of the checkout; ``None`` while neither a response nor the list names it.
    :param credits_missing: credits that the account lacks; ``None`` if the task does not say what it needs.
    :param expires_at: when the link stops being payable, according to VideoDB's documentation (ISO 8601, UTC).
    :param run_url: the page of the task instance in Airflow.
    :param event: what has happened: ``requested``, ``reminder``, ``paid``, ``expired``, ``failed`` or ``not_needed``.
    :param credits_needed: credits that the task needs; ``None`` if it does not say.
    :param credits_available: credits that the account has for this task; ``None`` if the task does not say.
    :param dag_id: the DAG of the task that waits.
    :param run_id: its DAG run.
    :param task_id: the task. A mapped one has its index in brackets.
    :param note: what happens next, or what a person should do next; ``None`` if the event says it.
    """

    url: str
    amount: int
    currency: str
    checkout_id: str | None
    credits_missing: float | None
    expires_at: str | None
    run_url: str
    event: PaymentEvent = PaymentEvent.REQUESTED
    credits_needed: float | None = None
    credits_available: float | None = None
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    note: str | None = None

    @classmethod
    def of(
        cls,
        purchase: Purchase,
        *,
        ti: TaskInstance,
        shortage: Shortage | None = None,
        event: PaymentEvent = PaymentEvent.REQUESTED,
        note: str | None = None,
    ) -> PaymentRequest:
        """
        Return what has happened to a purchase that has a link.

        :param ti: the task instance that waits.
        :param shortage: ``None`` if the task does not say what it needs.
        """
        expiry = expires_at(purchase)
        needed, available, missing = (None, None, None)
        if shortage is not None:
            figures = (shortage.needed, shortage.available, shortage.missing)
            needed, available, missing = map(to_json_number, figures)
        mapped = ti.map_index is not None and ti.map_index >= 0
        return cls(
            url=purchase.payment_url or "",
            amount=purchase.amount_paid,
            currency=purchase.currency or "usd",
            checkout_id=purchase.paid[0] if purchase.paid else purchase.checkout_id,
            credits_missing=missing,
            expires_at=None if expiry is None else expiry.isoformat(timespec="seconds"),
            run_url=ti.log_url,
            event=event,
            credits_needed=needed,
            credits_available=available,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=f"{ti.task_id}[{ti.map_index}]" if mapped else ti.task_id,
            note=note,
        )

    @property
    def price(self) -> str:
        """The price for a person: ``50 USD``."""
        return f"{self.amount} {self.currency.upper()}"


def shortage_of(needed: Decimal, available: object) -> Shortage | None:
    """
    Return why a task buys; ``None`` if a trigger has not read the balance.

    :param available: credits, as a JSON number.
    """
    try:
        known = to_decimal(available)
    except ValueError:
        return None
    return Shortage(needed=needed, available=known, missing=max(needed - known, Decimal(0)))
