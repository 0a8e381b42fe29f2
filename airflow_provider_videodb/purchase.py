"""
Every decision about a purchase, over plain data.

The invariant: for one task instance at most one purchase is ever paid, and at any time at most one link has been
handed out that can still be paid. Only a new DAG run, or a checkout known to have expired, buys again.

A POST whose answer was lost may have made a checkout. VideoDB's list then shows it, without its link, so nobody can
pay it any more (an *orphan*); but an account with a stored card may have been charged for it at once. So what was
*paid* around the time of that POST decides: nothing, and it is safe to ask again; one checkout that can only be ours,
and the purchase is done; anything else, and a person has to look.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBPurchaseUnknownError,
    VideoDBResponseError,
)
from airflow_provider_videodb.models import Checkout, CheckoutStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How long a new checkout may take to show in the list before its absence means something.
SETTLING_TIME = timedelta(seconds=10)
#: How far VideoDB's clock and ours may differ.
CLOCK_SKEW = timedelta(minutes=5)
#: How long a checkout that a wait has not seen yet may stay out of the list.
MISSING_GRACE = timedelta(seconds=60)
#: How many looks in a row may miss a checkout that a wait has seen before.
MAX_MISSING_LOOKS = 3


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """
    What the journal knows of one purchase: first the intent, then its checkout, then that it was paid.

    :param generation: counts the checkouts of one task instance; the next one begins when one has expired.
    :param amount: dollars. It stands, whatever a later try of the task renders.
    :param key: the idempotency key, the same for every POST of this generation.
    :param posts: when POSTs were sent that may have made a checkout.
    :param seen_before: checkouts that were there before the first of them.
    :param orphans: unpaid checkouts that a lost answer left behind. Nobody has their links.
    :param checkout_id: the checkout, once it is known.
    :param payment_url: its link; ``None`` too if the account was charged without one.
    :param paid: ids of what was paid; more than one is a fault to be reported.
    :param balance_before: credits when the purchase began.
    :param notified: whether the notifiers have been called with this link.
    """

    generation: int
    amount: int
    currency: str | None
    key: str
    balance_before: float | None
    posts: tuple[str, ...] = ()
    seen_before: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    checkout_id: str | None = None
    id_source: str | None = None
    payment_url: str | None = None
    paid: tuple[str, ...] = ()
    notified: bool = False

    @classmethod
    def from_dict(cls, record: object) -> Purchase:
        """
        Read the JSON form.

        :raises VideoDBPurchaseUnknownError: if it is none: then nobody knows what was bought.
        """
        try:
            fields: dict[str, Any] = dict(record)  # type: ignore[call-overload]  # what is no mapping raises below
            lists = {name: tuple(fields[name]) for name in ("posts", "seen_before", "orphans", "paid")}
            return cls(**fields | lists)
        except (TypeError, ValueError, KeyError) as err:
            raise VideoDBPurchaseUnknownError(
                f"The journal of this purchase cannot be read ({err}), so what was bought is unknown. Nothing more was "
                "bought. Look at the checkouts in VideoDB's console; then start a new DAG run to buy again."
            ) from err

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for journal, trigger and event."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def posting(self, now: datetime) -> Purchase:
        """Note a POST that is about to be sent."""
        return replace(self, posts=(*self.posts, now.isoformat()))

    def refused(self) -> Purchase:
        """Take the last POST back: it provably did nothing."""
        return replace(self, posts=self.posts[:-1])

    def answered(self, checkout: Checkout) -> Purchase:
        """Note the checkout that a POST was answered with."""
        # A server that honours the idempotency key answers with the checkout whose first answer was lost.
        return replace(
            self,
            checkout_id=checkout.id,
            id_source=checkout.id_source,
            payment_url=checkout.url,
            orphans=tuple(orphan for orphan in self.orphans if orphan != checkout.id),
        )

    def found(self, checkout: Checkout) -> Purchase:
        """Note which entry of the list this purchase is."""
        return replace(self, checkout_id=checkout.id, id_source=checkout.id_source)

    def settled(self, paid: Sequence[str]) -> Purchase:
        """Note what was paid."""
        return replace(self, paid=tuple(paid))


@dataclass(frozen=True, kw_only=True)
class Create:
    """Begin a purchase: nothing was bought, or what was asked for before has expired unpaid."""

    generation: int
    orphans: tuple[str, ...] = ()


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


Step = Create | CreateAgain | LookAgain | WaitFor | Done


def idempotency_key(*identity: object) -> str:
    """Return the key of one purchase: the same for the same identity, on every try and every machine."""
    return hashlib.sha256("\x1f".join(str(part) for part in identity).encode()).hexdigest()


def next_step(purchase: Purchase | None, checkouts: Sequence[Checkout], *, now: datetime) -> Step:
    """
    Decide how a try of the task goes on.

    :param purchase: what the journal holds, ``None`` if nothing was begun.
    :param checkouts: VideoDB's list, read just now.
    :param now: by our clock.
    :raises VideoDBPurchaseUnknownError: if what was paid cannot be told. A retry would not know more.
    :raises VideoDBCheckoutMissingError: if a link was made whose checkout the list does not show.
    """
    if purchase is None:
        return Create(generation=0)
    if paid := purchase.paid or _paid_ids(purchase, checkouts):
        return Done(purchase=purchase.settled(paid))
    if purchase.checkout_id is not None:
        return _step_with_checkout(purchase, checkouts)
    if purchase.payment_url is not None:
        return _step_with_link_alone(purchase, checkouts, now)
    if purchase.posts:
        return _step_after_lost_answer(purchase, checkouts, now)
    return CreateAgain(purchase=purchase)


class PaymentWatch:
    """
    Follows one purchase through successive looks at the list.

    :param purchase: with the id of its checkout.
    """

    def __init__(self, purchase: Purchase) -> None:
        self._purchase = purchase
        self._seen = False
        self._missing_since: datetime | None = None
        self._missing_looks = 0

    def paid(self, checkouts: Sequence[Checkout], *, now: datetime) -> Purchase | None:
        """
        Return the settled purchase once something of it is paid, ``None`` while it can still be.

        :raises VideoDBCheckoutExpiredError: if it expired unpaid.
        :raises VideoDBCheckoutMissingError: if the list does not show it, beyond what lag explains.
        :raises VideoDBResponseError: if its state is a word we do not know.
        """
        purchase = self._purchase
        if paid := _paid_ids(purchase, checkouts):
            return purchase.settled(paid)
        status = _status_of(purchase, checkouts)
        if status is CheckoutStatus.EXPIRED:
            raise VideoDBCheckoutExpiredError(
                f"Checkout {purchase.checkout_id} over {purchase.amount} USD expired unpaid: its link cannot be paid "
                "any more. Retry or clear the task to get a new link."
            )
        if status is CheckoutStatus.PENDING:
            self._seen, self._missing_since, self._missing_looks = True, None, 0
            return None
        self._missing_since = self._missing_since or now
        self._missing_looks += 1
        gone = self._seen and self._missing_looks >= MAX_MISSING_LOOKS
        if gone or now - self._missing_since >= MISSING_GRACE:
            raise _missing(purchase)
        return None


def _step_with_checkout(purchase: Purchase, checkouts: Sequence[Checkout]) -> Step:
    if _status_of(purchase, checkouts) is CheckoutStatus.EXPIRED:
        return Create(generation=purchase.generation + 1, orphans=purchase.orphans)
    # Not listed (yet) is for the wait to judge: it has the time to look again.
    return WaitFor(purchase=purchase)


def _step_with_link_alone(purchase: Purchase, checkouts: Sequence[Checkout], now: datetime) -> Step:
    """Go on from an answer that was a link without an id, which only the list can tell."""
    candidates = _candidates(purchase, checkouts)
    if len(candidates) == 1:
        return next_step(purchase.found(candidates[0]), checkouts, now=now)
    if candidates:
        raise _cannot_tell(purchase, candidates)
    if look_again := _look_again(purchase, now):
        return look_again
    raise _missing(purchase)


def _step_after_lost_answer(purchase: Purchase, checkouts: Sequence[Checkout], now: datetime) -> Step:
    if look_again := _look_again(purchase, now):
        return look_again
    candidates = _candidates(purchase, checkouts)
    unpaid = (CheckoutStatus.PENDING, CheckoutStatus.EXPIRED)
    if all(checkout.status in unpaid for checkout in candidates):
        pending = (checkout.id for checkout in candidates if checkout.status == CheckoutStatus.PENDING and checkout.id)
        return CreateAgain(purchase=replace(purchase, orphans=tuple(dict.fromkeys((*purchase.orphans, *pending)))))
    if len(candidates) == 1 and candidates[0].status == CheckoutStatus.COMPLETED and candidates[0].id:
        return Done(purchase=purchase.found(candidates[0]).settled([candidates[0].id]))
    raise _cannot_tell(purchase, candidates)


def _look_again(purchase: Purchase, now: datetime) -> LookAgain | None:
    """Wait for a list that may lag behind the last POST."""
    settles_in = datetime.fromisoformat(purchase.posts[-1]) + SETTLING_TIME - now
    return LookAgain(seconds=settles_in.total_seconds()) if settles_in > timedelta(0) else None


def _candidates(purchase: Purchase, checkouts: Sequence[Checkout]) -> list[Checkout]:
    """Return what may have been made by one of the purchase's POSTs."""
    return [checkout for checkout in checkouts if _may_be_ours(checkout, purchase)]


def _may_be_ours(checkout: Checkout, purchase: Purchase) -> bool:
    if checkout.amount != purchase.amount or checkout.id in purchase.seen_before or checkout.created_at is None:
        return False
    first, last = (datetime.fromisoformat(purchase.posts[index]) for index in (0, -1))
    return first - CLOCK_SKEW <= checkout.created_at <= last + CLOCK_SKEW


def _paid_ids(purchase: Purchase, checkouts: Sequence[Checkout]) -> tuple[str, ...]:
    ours = {purchase.checkout_id, *purchase.orphans}
    return tuple(
        checkout.id
        for checkout in checkouts
        if checkout.id in ours and checkout.id and checkout.status == CheckoutStatus.COMPLETED
    )


def _status_of(purchase: Purchase, checkouts: Sequence[Checkout]) -> CheckoutStatus | None:
    """Return the state of the purchase's checkout, ``None`` if the list does not show it."""
    for checkout in checkouts:
        if checkout.id == purchase.checkout_id:
            try:
                return CheckoutStatus(checkout.status)
            except ValueError:
                raise VideoDBResponseError(
                    f"Checkout {checkout.id} has the status {checkout.status!r}, which VideoDB's documents do not "
                    "know; it is not taken for paid. Look at it in VideoDB's console."
                ) from None
    return None


def _missing(purchase: Purchase) -> VideoDBCheckoutMissingError:
    name = purchase.checkout_id or "the new one"
    handed_out = (
        f" Its link {purchase.payment_url} may still be payable."
        if purchase.checkout_id and purchase.payment_url
        else ""
    )
    return VideoDBCheckoutMissingError(
        f"Checkout {name} over {purchase.amount} USD is not in VideoDB's list, so whether it was paid cannot be told."
        f"{handed_out} Look at it in VideoDB's console; a retry of the task looks again and makes no second one."
    )


def _cannot_tell(purchase: Purchase, candidates: Sequence[Checkout]) -> VideoDBPurchaseUnknownError:
    listed = "; ".join(
        f"{checkout.id}: {checkout.amount} {checkout.currency}, {checkout.status}, {checkout.created_at}"
        for checkout in candidates
    )
    return VideoDBPurchaseUnknownError(
        f"A top-up of {purchase.amount} USD was asked for at {purchase.posts[-1]} and its answer was lost or named no "
        f"checkout. It may be one of these, which cannot be told: {listed}. Nothing more was bought. Look at them in "
        "VideoDB's console: if none is this task's, start a new DAG run to buy; otherwise mark the task as succeeded."
    )
