"""
Every decision about a purchase, over plain data.

The invariant: for one task instance at most one purchase is ever paid, and at any time at most one link has been
handed out that can still be paid. Only a new DAG run, or a checkout known to have expired, buys again.

A POST whose answer was lost may have made a checkout. VideoDB's list then shows it, without its link, so nobody can
pay it any more (an *orphan*); but an account with a stored card may have been charged for it at once. So what was
*paid* around the time of that POST decides: nothing, and it is safe to ask again; one checkout that can only be ours,
and the purchase is done; anything else, and a person has to look.

The API carries no reference of ours, so checkouts are told apart by amount, by time, and by *claims*: every task
writes down which checkout is its own, and what another task has claimed is not ours.

VideoDB's list is believed slowly. A checkout counts as expired only if two looks some seconds apart say so and it is as
old as an unpaid checkout can become. Its payment is looked for all the same, as long as the purchase is not paid.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.candidates import (
    DATE_STEP,
    SETTLING_TIME,
    can_have_expired,
    candidates,
    paid_ids,
    remembered,
    status_of,
)
from airflow_provider_videodb.purchases.rules.limits import (
    BETWEEN_LOOKS,
    LISTED_WITHIN,
    SpendLimits,
    check_before_sharing_link,
    check_limits,
)
from airflow_provider_videodb.purchases.rules.messages import (
    another_account_error,
    cannot_tell_error,
    expired_error,
    missing_error,
    undecided_error,
)
from airflow_provider_videodb.purchases.rules.purchase import Purchase, merged

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from decimal import Decimal

_UNPAID = (CheckoutStatus.PENDING, CheckoutStatus.EXPIRED)
_KNOWN = tuple(CheckoutStatus)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """
    What a try of the task sees before it decides.

    :param amount: dollars that this try would ask for on what it knows now; 0 if nothing is needed any more.
    :param checkouts: VideoDB's list, as new as ``now`` or newer.
    :param now: by our clock.
    :param quiet_for: for how long no POST of this task can have been under way. Negative while one still can.
    :param expired_for: for how long this try has seen VideoDB call the checkout expired; ``None`` if it does not.
    :param account: fingerprint of the account that was asked.
    :param currency: what a new checkout would be asked for in; ``None`` leaves it to VideoDB.
    :param seen: what earlier looks of this try have shown of what its POSTs may have made.
    :param claimed_by_others: those of :func:`candidates` that other tasks have claimed.
    :param reprices: whether a POST that led to nothing may be followed by one over another amount.
    """

    amount: int
    checkouts: Sequence[Checkout]
    now: datetime
    quiet_for: timedelta
    expired_for: timedelta | None = None
    account: str | None = None
    currency: str | None = None
    limits: SpendLimits = field(default_factory=SpendLimits)
    seen: Mapping[str, Checkout] = field(default_factory=dict)
    claimed_by_others: Collection[str] = ()
    reprices: bool = False

    @property
    def listed(self) -> Mapping[str, Checkout]:
        """The list by id."""
        return by_id(self.checkouts)


@dataclass(frozen=True, kw_only=True)
class StartPurchase:
    """Begin a purchase: nothing was bought, or what was asked for before (``after``) has come to nothing."""

    after: Purchase | None = None


@dataclass(frozen=True, kw_only=True)
class ResendPost:
    """Send the POST of this purchase (again), with the same key: nothing was paid for it."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """
    Read the list once more after so many seconds: it may lag.

    :param purchase: the purchase with what this look has found of it.
    """

    seconds: float
    purchase: Purchase | None = None


@dataclass(frozen=True, kw_only=True)
class AwaitPayment:
    """Hand out the link of this purchase and wait for its payment."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class Paid:
    """It is paid."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class NotNeeded:
    """Nothing can be paid any more, and nothing more is needed."""


@dataclass(frozen=True, kw_only=True)
class Fail:
    """Buy nothing, withhold the link if there is one, and tell a person why."""

    error: VideoDBError
    purchase: Purchase | None = None


Action = StartPurchase | ResendPost | Recheck | AwaitPayment | Paid | NotNeeded | Fail


def idempotency_key(*identity: object) -> str:
    """Return the key of one purchase: the same for the same identity, on every try and every machine."""
    return hashlib.sha256("\x1f".join(str(part) for part in identity).encode()).hexdigest()


def decide(purchase: Purchase | None, observation: Observation) -> Action:
    """
    Decide how a try of the task goes on.

    :param purchase: what the journal holds, ``None`` if nothing was begun.
    """
    if purchase is None:
        return _within_limits(observation, StartPurchase())
    if paid := purchase.paid or _paid(purchase, observation):
        return Paid(purchase=purchase.marked_paid(paid, at=observation.now))
    if purchase.checkout_id is not None:
        return _step_with_checkout(purchase, observation)
    if purchase.payment_url is not None:
        return _step_with_link_alone(purchase, observation)
    if purchase.posts:
        return _step_after_lost_answer(purchase, observation)
    return _within_limits(observation, ResendPost(purchase=purchase))


def dollars_for(shortfall: Decimal, *, usd_per_credit: Decimal, min_amount: int) -> int:
    """Return what to buy for a shortfall of credits: whole dollars, rounded up, ``min_amount`` or more."""
    return max(min_amount, math.ceil(shortfall * usd_per_credit))


def _paid(purchase: Purchase, observation: Observation) -> tuple[str, ...]:
    """Return what is paid of this purchase, once something is, and what may be as well."""
    paid = paid_ids(purchase, observation.listed)
    if not paid or purchase.checkout_id is not None:
        return paid
    unclaimed = _unclaimed_candidates(purchase, observation)
    return merged(paid, [also.id for also in unclaimed if also.id and also.status == CheckoutStatus.COMPLETED])


def _step_with_checkout(purchase: Purchase, observation: Observation) -> Action:
    if status_of(purchase, observation.listed) == CheckoutStatus.EXPIRED:
        return _step_with_expired_checkout(purchase, observation)
    if purchase.link_shared:
        # Not listed (yet), or in a state that nobody knows, is for the wait to judge: it has the time to look again.
        return AwaitPayment(purchase=purchase)
    return _before_sharing_link(purchase, observation)


def _step_with_expired_checkout(purchase: Purchase, observation: Observation) -> Action:
    still_unsure = SETTLING_TIME - (observation.expired_for or timedelta(0))
    if still_unsure > timedelta(0):
        return Recheck(seconds=still_unsure.total_seconds(), purchase=purchase)
    if not can_have_expired(purchase, observation.listed, now=observation.now):
        return Fail(error=expired_error(purchase, observation.listed, now=observation.now))
    # Whatever lost answers left behind is older, so it has expired as well.
    return _within_limits(observation, StartPurchase(after=purchase))


def _before_sharing_link(purchase: Purchase, observation: Observation) -> Action:
    """
    Check the limits once more now that the checkout exists, as they are now and with what else was made meanwhile.

    Under a monthly limit the list must show whatever is earlier. A list that does not show the checkout itself lags
    by more than we wait for, and may hide earlier ones as well.
    """
    if observation.limits.monthly_topup_limit is not None:
        if look_again := _look_again(observation, SETTLING_TIME + DATE_STEP):
            return look_again
        if purchase.checkout_id not in observation.listed:
            if _look_again(observation, LISTED_WITHIN):
                return Recheck(seconds=BETWEEN_LOOKS.total_seconds())
            return Fail(error=missing_error(purchase), purchase=purchase)
    try:
        check_before_sharing_link(
            purchase.amount,
            observation.limits,
            checkout_id=purchase.checkout_id,
            checkouts=observation.checkouts,
            now=observation.now,
            currency=purchase.currency,
        )
    except VideoDBLimitExceededError as err:
        return Fail(error=err, purchase=purchase)
    return AwaitPayment(purchase=purchase)


def _step_with_link_alone(purchase: Purchase, observation: Observation) -> Action:
    """Go on from an answer that was a link without an id, which only the list can tell, once it must be there."""
    if look_again := _look_again(observation, SETTLING_TIME):
        return look_again
    if not _is_same_account(purchase, observation):
        return Fail(error=another_account_error(purchase))
    found = _unclaimed_candidates(purchase, observation)
    if len(found) == 1 and found[0].id:
        return decide(purchase.matched(found[0]), observation)
    return Fail(error=cannot_tell_error(purchase, found) if found else missing_error(purchase))


def _step_after_lost_answer(purchase: Purchase, observation: Observation) -> Action:
    if look_again := _look_again(observation, SETTLING_TIME):
        return look_again
    if not _is_same_account(purchase, observation):
        return Fail(error=another_account_error(purchase))
    found = _unclaimed_candidates(purchase, observation)
    paid = [checkout for checkout in found if checkout.status == CheckoutStatus.COMPLETED]
    if undecided := [checkout for checkout in found if checkout.status not in _KNOWN]:
        return Fail(error=undecided_error(purchase, undecided))
    if not paid:
        return _step_after_nothing(purchase, found, observation)
    if len(found) == 1 and paid[0].id and paid[0].amount == purchase.amount:
        return Paid(purchase=purchase.matched(paid[0]).marked_paid([paid[0].id], at=observation.now))
    return Fail(error=cannot_tell_error(purchase, found))


def _step_after_nothing(purchase: Purchase, found: Sequence[Checkout], observation: Observation) -> Action:
    """Ask again after lost answers for which nothing was paid."""
    # What may be another's subscription is not watched: its payment would be taken for this purchase's.
    orphans = [one.id for one in found if one.id and (one.amount is not None or "amount" in one.unreadable)]
    again = replace(purchase, in_flight=0, orphans=merged(purchase.orphans, orphans))
    if observation.reprices and observation.amount != purchase.amount:
        return _within_limits(observation, StartPurchase(after=again))
    return _within_limits(observation, ResendPost(purchase=again))


def _within_limits(observation: Observation, action: StartPurchase | ResendPost) -> Action:
    if observation.amount == 0:
        return NotNeeded()
    amount = observation.amount if isinstance(action, StartPurchase) else action.purchase.amount
    try:
        check_limits(
            amount,
            observation.limits,
            checkouts=observation.checkouts,
            now=observation.now,
            currency=observation.currency,
        )
    except VideoDBLimitExceededError as err:
        return Fail(error=err, purchase=None if isinstance(action, StartPurchase) else action.purchase)
    return action


def _look_again(observation: Observation, settling_time: timedelta) -> Recheck | None:
    """Wait for a list that may lag behind the last POST, or for a POST that outlived the process that sent it."""
    settles_in = settling_time - observation.quiet_for
    return Recheck(seconds=settles_in.total_seconds()) if settles_in > timedelta(0) else None


def _is_same_account(purchase: Purchase, observation: Observation) -> bool:
    """Say whether the list is that of the account that was asked, though its key may have been replaced."""
    known = {*purchase.excluded_ids, *purchase.watched}
    return purchase.account in (None, observation.account) or not known.isdisjoint(observation.listed)


def _unclaimed_candidates(purchase: Purchase, observation: Observation) -> list[Checkout]:
    nameless = [checkout for checkout in observation.checkouts if checkout.id is None]
    entries = [*remembered(observation.seen, observation.checkouts).values(), *nameless]
    return [checkout for checkout in candidates(purchase, entries) if checkout.id not in observation.claimed_by_others]
