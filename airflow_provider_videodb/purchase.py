"""
Every decision about a purchase, over plain data.

The invariant: for one task instance at most one purchase is ever paid, and at any time at most one link has been
handed out that can still be paid. Only a new DAG run, or a checkout known to have expired, buys again.

A POST whose answer was lost may have made a checkout. VideoDB's list then shows it, without its link, so nobody can
pay it any more (an *orphan*); but an account with a stored card may have been charged for it at once. So what was
*paid* around the time of that POST decides: nothing, and it is safe to ask again; one checkout that can only be ours,
and the purchase is done; anything else, and a person has to look.

The API carries no reference of ours, so checkouts are told apart by amount, by time, and by *claims*: every task
writes down which checkout is its own, and what another task has claimed is not ours. A claim outlives the record of
its purchase, and so tells a cleared task that it has paid.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.answers import how_to_resolve
from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutMissingError,
    VideoDBError,
    VideoDBLimitExceededError,
    VideoDBPurchaseUnknownError,
    VideoDBResponseError,
)
from airflow_provider_videodb.limits import (
    BETWEEN_LOOKS,
    LISTED_WITHIN,
    SpendLimits,
    check_before_handing_out,
    check_limits,
)
from airflow_provider_videodb.matching import DATE_STEP, candidates, in_words, paid_ids, status_of
from airflow_provider_videodb.models import Checkout, CheckoutStatus, by_id
from airflow_provider_videodb.record import Purchase, merged

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from decimal import Decimal

#: How long a new checkout may take to show in the list before its absence means something.
SETTLING_TIME = timedelta(seconds=10)
_UNPAID = (CheckoutStatus.PENDING, CheckoutStatus.EXPIRED)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """
    What a try of the task sees before it decides.

    :param amount: dollars that this try asks for.
    :param checkouts: VideoDB's list, as new as ``now`` or newer.
    :param now: by our clock.
    :param quiet_since: from when on no POST of this task was under way: this try began, or lost or got its answer.
    :param claimed_by_others: those of :func:`candidates` that other tasks have claimed.
    :param own: where there is no record: the checkouts that this task has claimed.
    """

    amount: int
    checkouts: Sequence[Checkout]
    now: datetime
    quiet_since: datetime
    limits: SpendLimits = field(default_factory=SpendLimits)
    claimed_by_others: Collection[str] = ()
    own: Sequence[Checkout] = ()

    @property
    def listed(self) -> Mapping[str, Checkout]:
        """The list by id."""
        return by_id(self.checkouts)


@dataclass(frozen=True, kw_only=True)
class Create:
    """Begin a purchase: nothing was bought, or what was asked for before has expired unpaid."""

    generation: int


@dataclass(frozen=True, kw_only=True)
class CreateAgain:
    """Send the POST of this purchase (again), with the same key: nothing was paid for it."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class LookAgain:
    """Read the list once more after so many seconds: it may lag."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    """Hand out the link of this purchase and wait for its payment."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class Done:
    """It is paid."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Buy nothing, withhold the link if there is one, and tell a person why."""

    error: VideoDBError
    purchase: Purchase | None = None


Step = Create | CreateAgain | LookAgain | WaitFor | Done | Stop


def idempotency_key(*identity: object) -> str:
    """Return the key of one purchase: the same for the same identity, on every try and every machine."""
    return hashlib.sha256("\x1f".join(str(part) for part in identity).encode()).hexdigest()


def next_step(purchase: Purchase | None, situation: Situation) -> Step:
    """
    Decide how a try of the task goes on.

    :param purchase: what the journal holds, ``None`` if nothing was begun.
    """
    if purchase is None:
        return _step_without_record(situation)
    if paid := purchase.paid or _paid(purchase, situation):
        return Done(purchase=purchase.settled(paid))
    if purchase.checkout_id is not None:
        return _step_with_checkout(purchase, situation)
    if purchase.payment_url is not None:
        return _step_with_link_alone(purchase, situation)
    if purchase.posts:
        return _step_after_lost_answer(purchase, situation)
    return _within_limits(situation, CreateAgain(purchase=purchase))


def receipt(own: Sequence[Checkout]) -> Purchase | None:
    """Return the purchase that the checkouts claimed by a task without a record tell of, ``None`` if none is paid."""
    paid = [checkout for checkout in own if checkout.status == CheckoutStatus.COMPLETED]
    return Purchase.from_claimed(paid) if paid else None


def dollars_for(shortfall: Decimal, *, usd_per_credit: Decimal, min_amount: int) -> int:
    """Return what to buy for a shortfall of credits: whole dollars, rounded up, ``min_amount`` or more."""
    return max(min_amount, math.ceil(shortfall * usd_per_credit))


def missing_error(purchase: Purchase) -> VideoDBCheckoutMissingError:
    """Return the error for a checkout that the list does not show."""
    name = purchase.checkout_id or "that was just made"
    handed_out = f" Its link may still be payable: {purchase.payment_url}" if purchase.handed_out else ""
    return VideoDBCheckoutMissingError(
        f"Checkout {name} over {purchase.amount} USD is not in VideoDB's list, so whether it was paid cannot be told."
        f"{handed_out} Look for it in VideoDB's console; a retry of the task looks again and makes no second one."
    )


def _step_without_record(situation: Situation) -> Step:
    """Begin, unless the claims of this task tell of a purchase whose record was removed."""
    if purchase := receipt(situation.own):
        return Done(purchase=purchase)
    if payable := [checkout for checkout in situation.own if checkout.status != CheckoutStatus.EXPIRED]:
        return Stop(
            error=VideoDBPurchaseUnknownError(
                f"This task has made a checkout whose record is gone, and its link may still be payable: "
                f"{in_words(payable)}. Nothing more was bought. Clear the task once that is paid or has expired, or "
                "start a new DAG run to buy again."
            )
        )
    return _within_limits(situation, Create(generation=len(situation.own)))


def _paid(purchase: Purchase, situation: Situation) -> tuple[str, ...]:
    """Return what is paid of this purchase, once something is, and what may be as well."""
    paid = paid_ids(purchase, situation.listed)
    if not paid or purchase.checkout_id is not None:
        return paid
    unclaimed = _unclaimed_candidates(purchase, situation)
    return merged(paid, [also.id for also in unclaimed if also.id and also.status == CheckoutStatus.COMPLETED])


def _step_with_checkout(purchase: Purchase, situation: Situation) -> Step:
    try:
        status = status_of(purchase, situation.listed)
    except VideoDBResponseError as err:
        return Stop(error=err)
    if status is CheckoutStatus.EXPIRED:
        # Whatever lost answers left behind is older, so it has expired as well.
        return _within_limits(situation, Create(generation=purchase.generation + 1))
    if purchase.handed_out:
        # Not listed (yet) is for the wait to judge: it has the time to look again.
        return WaitFor(purchase=purchase)
    return _step_before_handing_out(purchase, situation)


def _step_before_handing_out(purchase: Purchase, situation: Situation) -> Step:
    """
    Check the limits once more now that the checkout exists, as they are now and with what else was made meanwhile.

    Under a monthly limit the list must show whatever is earlier. A list that does not show the checkout itself lags
    by more than we wait for, and may hide earlier ones as well.
    """
    if situation.limits.monthly_topup_limit is not None:
        if look_again := _look_again(situation, SETTLING_TIME + DATE_STEP):
            return look_again
        if purchase.checkout_id not in situation.listed:
            if _look_again(situation, LISTED_WITHIN):
                return LookAgain(seconds=BETWEEN_LOOKS.total_seconds())
            return Stop(error=missing_error(purchase), purchase=purchase)
    try:
        check_before_handing_out(
            purchase.amount,
            situation.limits,
            checkout_id=purchase.checkout_id,
            checkouts=situation.checkouts,
            now=situation.now,
            currency=purchase.currency,
        )
    except VideoDBLimitExceededError as err:
        return Stop(error=err, purchase=purchase)
    return WaitFor(purchase=purchase)


def _step_with_link_alone(purchase: Purchase, situation: Situation) -> Step:
    """Go on from an answer that was a link without an id, which only the list can tell, once it must be there."""
    if look_again := _look_again(situation, SETTLING_TIME):
        return look_again
    found = _unclaimed_candidates(purchase, situation)
    if len(found) == 1:
        return next_step(purchase.found(found[0]), situation)
    return Stop(error=_cannot_tell(purchase, found) if found else missing_error(purchase))


def _step_after_lost_answer(purchase: Purchase, situation: Situation) -> Step:
    if look_again := _look_again(situation, SETTLING_TIME):
        return look_again
    found = _unclaimed_candidates(purchase, situation)
    if all(checkout.status in _UNPAID for checkout in found):
        pending = [checkout.id for checkout in found if checkout.id and checkout.status == CheckoutStatus.PENDING]
        again = replace(purchase, orphans=merged(purchase.orphans, pending))
        return _within_limits(situation, CreateAgain(purchase=again))
    if len(found) == 1 and found[0].id and found[0].status == CheckoutStatus.COMPLETED:
        return Done(purchase=purchase.found(found[0]).settled([found[0].id]))
    return Stop(error=_cannot_tell(purchase, found))


def _within_limits(situation: Situation, step: Create | CreateAgain) -> Step:
    amount = situation.amount if isinstance(step, Create) else step.purchase.amount
    try:
        check_limits(amount, situation.limits, checkouts=situation.checkouts, now=situation.now)
    except VideoDBLimitExceededError as err:
        return Stop(error=err, purchase=None if isinstance(step, Create) else step.purchase)
    return step


def _look_again(situation: Situation, settling_time: timedelta) -> LookAgain | None:
    """Wait for a list that may lag behind the last POST, or for a POST that outlived the process that sent it."""
    settles_in = situation.quiet_since + settling_time - situation.now
    return LookAgain(seconds=settles_in.total_seconds()) if settles_in > timedelta(0) else None


def _unclaimed_candidates(purchase: Purchase, situation: Situation) -> list[Checkout]:
    return [
        checkout
        for checkout in candidates(purchase, situation.checkouts)
        if checkout.id not in situation.claimed_by_others
    ]


def _cannot_tell(purchase: Purchase, found: Sequence[Checkout]) -> VideoDBPurchaseUnknownError:
    return VideoDBPurchaseUnknownError(
        f"A top-up of {purchase.amount} USD was asked for at {purchase.posts[-1]} and its answer was lost or named no "
        f"checkout. Whether it is one of these cannot be told: {in_words(found)}. Nothing more was bought. "
        f"{how_to_resolve(purchase)}"
    )
