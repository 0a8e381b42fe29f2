"""
What ``EnsureCreditsOperator`` waits for, and when it stops.

The task decides when it starts and whenever a trigger's event resumes it. Between the two, the wait travels as JSON
through the trigger's arguments and back in its event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_videodb.exceptions import VideoDBPurchaseError
from airflow_provider_videodb.purchases.rules.purchase import Purchase

if TYPE_CHECKING:
    from decimal import Decimal

_FORMAT = 1
#: How many seconds ahead of ours another worker's clock may be. Airflow itself needs clocks that agree better.
_CLOCKS_DIFFER = 300.0
#: The year 9999, the last for which a date can be written.
_LAST_SECOND = 253_402_300_799.0


@dataclass(frozen=True, kw_only=True)
class CreditWait:
    """
    The state of one try's wait for credits.

    :param purchase: what the task bought; ``None`` if it bought nothing.
    :param deadline: when the wait for the payment or for other credits ends, in seconds since 1970.
    :param buys_if_short: whether the task buys what is missing as soon as it lacks credits.
    :param recheck_at: when a paid wait ends unless others keep the gate closed, in seconds since 1970; ``None`` if it
        ends at the trigger's own deadline.
    """

    purchase: Purchase | None
    deadline: float
    buys_if_short: bool = False
    recheck_at: float | None = None

    @classmethod
    def from_dict(cls, state: object) -> CreditWait:
        """
        Read the JSON form. A newer format may add fields, which are ignored.

        :raises VideoDBPurchaseError: if it cannot be read.
        """
        try:
            fields: dict[str, Any] = dict(state)  # type: ignore[call-overload]  # anything but a mapping raises below
            recorded, deadline = fields["purchase"], _seconds(fields["deadline"])
            buys_if_short, recheck_at = fields.get("buys_if_short", False) is True, fields.get("recheck_at")
            recheck_at = None if recheck_at is None else _seconds(recheck_at)
        except (TypeError, ValueError, KeyError, OverflowError) as err:
            raise VideoDBPurchaseError(
                f"The state of this wait cannot be read: {str(err)[:200]!r}. Nothing more was bought. Next step: retry "
                "or clear this task, which continues from the record of its purchase."
            ) from None
        return cls(
            purchase=None if recorded is None else Purchase.from_dict(recorded),
            deadline=deadline,
            buys_if_short=buys_if_short,
            recheck_at=recheck_at,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the trigger and its events."""
        state: dict[str, Any] = {
            "format": _FORMAT,
            "purchase": None if self.purchase is None else self.purchase.to_dict(),
            "deadline": self.deadline,
        }
        # The first release knows neither field, so a wait without them is stored as it stored it.
        if self.buys_if_short:
            state["buys_if_short"] = True
        if self.recheck_at is not None:
            state["recheck_at"] = self.recheck_at
        return state

    @property
    def awaits_payment(self) -> bool:
        """Whether somebody can still pay what the task bought."""
        return self.purchase is not None and not self.purchase.paid

    @property
    def may_buy(self) -> bool:
        """Whether a waiting task may still buy; it buys only once."""
        return self.purchase is None and self.buys_if_short

    def ends_at(self, *, settle_timeout: float, now: float) -> float:
        """
        Return when the wait ends, in seconds since 1970.

        This is the end if others do not keep the gate closed.

        :param settle_timeout: seconds after the payment within which the balance has to show it.
        """
        if self.purchase is None or not self.purchase.paid:
            return self.deadline
        # If nobody recorded when the payment was made, it counts as old. Otherwise each new wait would start over.
        paid_at = self.purchase.paid_at
        moment = 0.0 if paid_at is None else datetime.fromisoformat(paid_at).timestamp()
        # The clock of the worker that recorded it may have been ahead by a little. A later date is wrong, and would
        # prolong the wait until it is reached.
        return (min(moment, now) if moment <= now + _CLOCKS_DIFFER else 0.0) + settle_timeout


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not isfinite(seconds) or not 0 <= seconds <= _LAST_SECOND:
        raise ValueError(f"{value!r} is not a moment")
    return seconds


@dataclass(frozen=True, kw_only=True)
class Gate:
    """
    What one check of the account found for this task.

    :param is_open: whether the job may start.
    :param missing: credits that have to be bought; 0 if none, or if buying would not open the gate.
    :param is_kept_by_others: whether the gate is closed although the account has enough: others hold credits or go
        first, or the account is paused.
    """

    is_open: bool
    missing: Decimal
    is_kept_by_others: bool = False


@dataclass(frozen=True, kw_only=True)
class Proceed:
    """The gate is open, so the job may start."""


@dataclass(frozen=True, kw_only=True)
class Buy:
    """
    Buy what is missing, or continue an earlier purchase.

    :param missing: credits; 0 if nothing is missing now. Then nothing more may be bought.
    """

    missing: Decimal


@dataclass(frozen=True, kw_only=True)
class WaitUntil:
    """
    Wait for the payment, the balance or others.

    :param deadline: seconds since 1970.
    :param recheck_at: see :class:`CreditWait`.
    """

    deadline: float
    recheck_at: float | None = None


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


@dataclass(frozen=True, kw_only=True)
class KeptByOthers:
    """Fail, because others kept the gate closed for too long."""

    purchase: Purchase | None


Step: TypeAlias = Proceed | Buy | WaitUntil | NotFilled | NotPaid | NotShown | KeptByOthers


def decide_credit_wait(wait: CreditWait, gate: Gate, *, may_buy: bool, settle_timeout: float, now: float) -> Step:
    """
    Decide what the task does after this check.

    :param may_buy: whether the task may buy at this moment. A paid purchase is never followed by another one.
    :param settle_timeout: seconds after the payment within which the balance has to show it. They do not count while
        others alone keep the gate closed.
    :param now: seconds since 1970.
    """
    if gate.is_open:
        return Proceed()
    purchase = wait.purchase
    is_paid = purchase is not None and bool(purchase.paid)
    if may_buy and not is_paid and (gate.missing or purchase is not None):
        return Buy(missing=gate.missing)
    ends_at = wait.ends_at(settle_timeout=settle_timeout, now=now)
    waits_for_others = is_paid and gate.is_kept_by_others
    deadline = max(ends_at, wait.deadline) if waits_for_others else ends_at
    if now < deadline:
        return WaitUntil(deadline=deadline, recheck_at=ends_at if waits_for_others else None)
    if gate.is_kept_by_others and (is_paid or purchase is None):
        return KeptByOthers(purchase=purchase)
    if purchase is None:
        return NotFilled()
    return NotShown(purchase=purchase) if is_paid else NotPaid(purchase=purchase)
