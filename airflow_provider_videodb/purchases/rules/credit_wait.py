"""
What ``EnsureCreditsOperator`` waits for, and when it stops.

The task decides when it starts and whenever a trigger's event resumes it. Between the two, the wait travels as JSON
through the trigger's arguments and back in its event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_videodb.exceptions import VideoDBPurchaseError
from airflow_provider_videodb.purchases.rules.purchase import Purchase

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.api.models import Usage

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class CreditWait:
    """
    The state of one try's wait for credits.

    :param purchase: what the task bought; ``None`` if it bought nothing.
    :param deadline: when the wait for the payment, or for somebody else to fill the account, ends. In seconds since
        1970.
    """

    purchase: Purchase | None
    deadline: float

    @classmethod
    def from_dict(cls, state: object) -> CreditWait:
        """
        Read the JSON form. A newer format may add fields, which are ignored.

        :raises VideoDBPurchaseError: if it cannot be read.
        """
        try:
            fields: dict[str, Any] = dict(state)  # type: ignore[call-overload]  # anything but a mapping raises below
            recorded, deadline = fields["purchase"], float(fields["deadline"])
        except (TypeError, ValueError, KeyError) as err:
            raise VideoDBPurchaseError(
                f"The state of this wait cannot be read: {str(err)[:200]!r}. Nothing more was bought. Next step: retry "
                "or clear this task, which goes on from the record of its purchase."
            ) from None
        return cls(purchase=None if recorded is None else Purchase.from_dict(recorded), deadline=deadline)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the trigger and its events."""
        return {
            "format": _FORMAT,
            "purchase": None if self.purchase is None else self.purchase.to_dict(),
            "deadline": self.deadline,
        }

    @property
    def awaits_payment(self) -> bool:
        """Whether somebody can still pay what the task bought."""
        return self.purchase is not None and not self.purchase.paid

    def ends_at(self, *, settle_timeout: float, now: float) -> float:
        """
        Return when the wait ends, in seconds since 1970.

        :param settle_timeout: seconds after the payment within which the balance has to show it.
        """
        if self.purchase is None or not self.purchase.paid:
            return self.deadline
        # If nobody recorded when the payment was made, it counts as old. Otherwise each new wait would start over.
        paid_at = self.purchase.paid_at
        moment = 0.0 if paid_at is None else datetime.fromisoformat(paid_at).timestamp()
        # The clock of the worker that recorded it may have been ahead.
        return min(moment, now) + settle_timeout


@dataclass(frozen=True, kw_only=True)
class Proceed:
    """The balance suffices, so the job may start."""


@dataclass(frozen=True, kw_only=True)
class Buy:
    """
    Buy what is missing.

    :param missing: credits.
    """

    missing: Decimal


@dataclass(frozen=True, kw_only=True)
class WaitUntil:
    """
    Wait for the payment or the balance.

    :param deadline: seconds since 1970.
    """

    deadline: float


@dataclass(frozen=True, kw_only=True)
class NotFilled:
    """Fail, because nobody filled the account in time."""


@dataclass(frozen=True, kw_only=True)
class NotPaid:
    """Fail, because nobody paid in time."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class NotShown:
    """Fail, because the balance lacks credits that are paid."""

    purchase: Purchase


Step: TypeAlias = Proceed | Buy | WaitUntil | NotFilled | NotPaid | NotShown


def decide_credit_wait(
    wait: CreditWait,
    usage: Usage,
    *,
    credits: Decimal,
    may_buy: bool,
    settle_timeout: float,
    now: float,
) -> Step:
    """
    Decide how the task goes on at this balance.

    :param usage: what was just read.
    :param credits: what the job needs.
    :param may_buy: whether the task may still buy in this try. A paid purchase is never followed by another one.
    :param settle_timeout: seconds after the payment within which the balance has to show it.
    :param now: seconds since 1970.
    """
    if usage.covers(credits):
        return Proceed()
    purchase = wait.purchase
    if may_buy and (purchase is None or not purchase.paid):
        return Buy(missing=credits - usage.credit_balance)
    ends_at = wait.ends_at(settle_timeout=settle_timeout, now=now)
    if now < ends_at:
        return WaitUntil(deadline=ends_at)
    if purchase is None:
        return NotFilled()
    return NotShown(purchase=purchase) if purchase.paid else NotPaid(purchase=purchase)
