"""
Decides how a try continues its purchase.

Invariant: at most one purchase of a task instance is ever paid. At any time, people have at most one link that can
still be paid. Only a new DAG run, or a checkout that is known to have expired, buys again.

A POST without a response may have made a checkout. VideoDB lists it without its link, so nobody can pay it: it is an
*orphan*. But an account with a stored card may have been charged for it at once. So we decide by what was *paid*
around the time of the POST. If nothing was, it is safe to send it again. If exactly one paid checkout can only be ours,
the purchase is complete. Otherwise the task stops and asks a person.

VideoDB's API carries no reference of ours. We tell checkouts apart by amount, by time and by *claims*: every task
records which checkout is its own, and a checkout that another task has claimed is not ours.

VideoDB's list lags. A checkout counts as expired only if it is old enough and two polls some seconds apart say so. A
payment that appears later still completes the purchase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CheckoutStatus
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.approval import is_approved
from airflow_provider_videodb.purchases.rules.candidates import (
    DATE_STEP,
    LIST_LAG,
    can_have_expired,
    candidates,
    paid_ids,
    remembered,
    status_of,
)
from airflow_provider_videodb.purchases.rules.limits import (
    LIST_POLL_INTERVAL,
    MAX_LIST_LAG,
    check_limits,
    check_own_checkout,
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
    from collections.abc import Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.observation import Observation

_KNOWN_STATES = tuple(CheckoutStatus)


@dataclass(frozen=True, kw_only=True)
class StartPurchase:
    """Begin a purchase, because nothing was bought or ``after`` led to nothing."""

    after: Purchase | None = None


@dataclass(frozen=True, kw_only=True)
class ResendPost:
    """Send this purchase's POST with the same key, because nothing was paid."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class AskApproval:
    """
    Ask a person before the POST.

    :param amount: US dollars, or whole units of ``currency``.
    """

    amount: int
    currency: str | None


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """
    Read the list again after some seconds, because it may lag.

    :param purchase: the purchase with what this poll found.
    """

    seconds: float
    purchase: Purchase | None = None


@dataclass(frozen=True, kw_only=True)
class AwaitPayment:
    """Share the link of this purchase and wait for its payment."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class Paid:
    """The purchase is paid."""

    purchase: Purchase


@dataclass(frozen=True, kw_only=True)
class NotNeeded:
    """Nothing can be paid, and nothing is needed."""


@dataclass(frozen=True, kw_only=True)
class Fail:
    """Buy nothing, withhold any unshared link, and raise the error."""

    error: VideoDBError
    purchase: Purchase | None = None


Action = StartPurchase | ResendPost | AskApproval | Recheck | AwaitPayment | Paid | NotNeeded | Fail


def decide(purchase: Purchase | None, observation: Observation) -> Action:
    """Return the next action of a try; ``purchase`` is its record, if there is one."""
    if purchase is None:
        return _within_limits(observation, StartPurchase())
    if paid := purchase.paid or _paid(purchase, observation):
        return Paid(purchase=purchase.marked_paid(paid, at=observation.now))
    if purchase.checkout_id is not None:
        return _with_checkout(purchase, observation)
    if purchase.payment_url is not None:
        return _with_link_alone(purchase, observation)
    if purchase.posts:
        return _without_response(purchase, observation)
    return _within_limits(observation, ResendPost(purchase=purchase))


def _paid(purchase: Purchase, observation: Observation) -> tuple[str, ...]:
    """Return what was paid: what is surely ours, then what may be."""
    paid = paid_ids(purchase, observation.listed)
    if not paid or purchase.checkout_id is not None:
        return paid
    unclaimed = _unclaimed_candidates(purchase, observation)
    return merged(paid, [also.id for also in unclaimed if also.id and also.status == CheckoutStatus.COMPLETED])


def _with_checkout(purchase: Purchase, observation: Observation) -> Action:
    if status_of(purchase, observation.listed) == CheckoutStatus.EXPIRED:
        return _with_expired_checkout(purchase, observation)
    if purchase.link_shared:
        # The wait judges a missing checkout or an undocumented state, because it has the time to poll again.
        return AwaitPayment(purchase=purchase)
    return _before_sharing_link(purchase, observation)


def _with_expired_checkout(purchase: Purchase, observation: Observation) -> Action:
    still_unsure = LIST_LAG - (observation.expired_for or timedelta(0))
    if still_unsure > timedelta(0):
        return Recheck(seconds=still_unsure.total_seconds(), purchase=purchase)
    if not can_have_expired(purchase, observation.listed, now=observation.now):
        return Fail(error=expired_error(purchase, observation.listed, now=observation.now))
    # Its orphans are older, so they have expired as well.
    return _within_limits(observation, StartPurchase(after=purchase))


def _before_sharing_link(purchase: Purchase, observation: Observation) -> Action:
    """
    Check the limits again, because others may have bought since the POST.

    Under a monthly limit the list must show every earlier checkout. A list that does not show our own lags too much for
    that, so the link is withheld.
    """
    if observation.limits.monthly_topup_limit is not None:
        if recheck := _recheck(observation, LIST_LAG + DATE_STEP):
            return recheck
        if purchase.checkout_id not in observation.listed:
            if _recheck(observation, MAX_LIST_LAG):
                return Recheck(seconds=LIST_POLL_INTERVAL.total_seconds())
            return Fail(error=missing_error(purchase), purchase=purchase)
    try:
        check_own_checkout(purchase, observation.limits, checkouts=observation.checkouts, now=observation.now)
    except VideoDBLimitExceededError as err:
        return Fail(error=err, purchase=purchase)
    return AwaitPayment(purchase=purchase)


def _with_link_alone(purchase: Purchase, observation: Observation) -> Action:
    """Find the id of a link in the list, once the list must show it."""
    if recheck := _recheck(observation, LIST_LAG):
        return recheck
    if not _is_same_account(purchase, observation):
        return Fail(error=another_account_error(purchase))
    found = _unclaimed_candidates(purchase, observation)
    if len(found) == 1 and found[0].id:
        return decide(purchase.matched(found[0]), observation)
    return Fail(error=cannot_tell_error(purchase, found) if found else missing_error(purchase))


def _without_response(purchase: Purchase, observation: Observation) -> Action:
    if recheck := _recheck(observation, LIST_LAG):
        return recheck
    if not _is_same_account(purchase, observation):
        return Fail(error=another_account_error(purchase))
    found = _unclaimed_candidates(purchase, observation)
    paid = [checkout for checkout in found if checkout.status == CheckoutStatus.COMPLETED]
    if undecided := [checkout for checkout in found if checkout.status not in _KNOWN_STATES]:
        return Fail(error=undecided_error(purchase, undecided))
    if not paid:
        return _with_nothing_paid(purchase, found, observation)
    if len(found) == 1 and paid[0].id and paid[0].amount == purchase.amount:
        return Paid(purchase=purchase.matched(paid[0]).marked_paid([paid[0].id], at=observation.now))
    return Fail(error=cannot_tell_error(purchase, found))


def _with_nothing_paid(purchase: Purchase, found: Sequence[Checkout], observation: Observation) -> Action:
    # An entry without an amount may be somebody's subscription. We do not watch it, because its payment would complete
    # this purchase.
    orphans = [one.id for one in found if one.id and (one.amount is not None or "amount" in one.unreadable)]
    again = replace(purchase, in_flight=0, orphans=merged(purchase.orphans, orphans))
    if observation.reprices and observation.amount != purchase.amount:
        return _within_limits(observation, StartPurchase(after=again))
    return _within_limits(observation, ResendPost(purchase=again))


def _within_limits(observation: Observation, action: StartPurchase | ResendPost) -> Action:
    """Check the limits before a POST, then whether a person has to approve it."""
    if observation.amount == 0:
        return NotNeeded()
    amount, currency, known = observation.amount, observation.currency, None
    if isinstance(action, ResendPost):
        amount, currency, known = action.purchase.amount, action.purchase.currency, action.purchase
    try:
        check_limits(
            amount,
            observation.limits,
            checkouts=observation.checkouts,
            now=observation.now,
            currency=observation.currency,
        )
    except VideoDBLimitExceededError as err:
        return Fail(error=err, purchase=known)
    if not is_approved(observation.policy, observation.approval, amount, currency=currency):
        return AskApproval(amount=amount, currency=currency)
    return action


def _recheck(observation: Observation, lag: timedelta) -> Recheck | None:
    """Wait until the list must show what the last POST made."""
    remaining = lag - observation.quiet_for
    return Recheck(seconds=remaining.total_seconds()) if remaining > timedelta(0) else None


def _is_same_account(purchase: Purchase, observation: Observation) -> bool:
    """Say whether the list belongs to the account of the POST. Its key may have changed, its checkouts have not."""
    known = {*purchase.excluded_ids, *purchase.watched}
    return purchase.account in (None, observation.account) or not known.isdisjoint(observation.listed)


def _unclaimed_candidates(purchase: Purchase, observation: Observation) -> list[Checkout]:
    nameless = [checkout for checkout in observation.checkouts if checkout.id is None]
    entries = [*remembered(observation.seen, observation.checkouts).values(), *nameless]
    return [checkout for checkout in candidates(purchase, entries) if checkout.id not in observation.claimed_by_others]
