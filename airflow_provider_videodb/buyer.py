"""
Carries out what :mod:`~airflow_provider_videodb.purchase` decides.

The order is what keeps a purchase from being made twice: the intent is recorded before the POST that may make a
checkout, the checkout before its link is handed out.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, assert_never

from airflow_provider_videodb.answers import resolved
from airflow_provider_videodb.exceptions import (
    ANSWER_LOST_ERRORS,
    NOTHING_DONE_ERRORS,
    VideoDBAPIError,
    VideoDBPurchaseUnknownError,
)
from airflow_provider_videodb.limits import SpendLimits, check_per_purchase_limits
from airflow_provider_videodb.matching import CLOCK_SKEW, DATE_STEP, candidates
from airflow_provider_videodb.payment import last_look
from airflow_provider_videodb.purchase import (
    Create,
    CreateAgain,
    Done,
    LookAgain,
    Situation,
    Stop,
    WaitFor,
    idempotency_key,
    next_step,
    receipt,
)
from airflow_provider_videodb.record import Purchase

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_videodb.claims import Claims
    from airflow_provider_videodb.journal import Journal
    from airflow_provider_videodb.models import Checkout

#: Answers that one try may lose before it leaves the rest to the next one.
_MOST_LOST_ANSWERS = 2

log = logging.getLogger(__name__)


class Shop(Protocol):
    """The two calls that buying takes; :class:`~airflow_provider_videodb.client.BillingClient` has them."""

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Checkout:
        """Ask for a checkout."""
        ...

    def list_checkouts(self) -> list[Checkout]:
        """Return all checkouts."""
        ...


class Clock:
    """The time, and the passing of it."""

    def now(self) -> datetime:
        """Return the time of this machine."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """
    Makes the one purchase of one task instance.

    :param identity: what names the task instance through all its tries.
    :param since: no checkout of this task instance is older than this.
    """

    shop: Shop
    journal: Journal
    claims: Claims
    limits: SpendLimits
    identity: tuple[str, ...]
    since: datetime
    clock: Clock = field(default_factory=Clock)

    def begun(self) -> Purchase | None:
        """Return what earlier tries began, by the record or, where that is removed at the end, by the claims."""
        purchase = self.journal.load()
        if purchase is None and self.journal.forgets_what_is_over:
            return receipt(self._claimed(self.shop.list_checkouts()))
        return purchase

    def obtain_checkout(
        self, amount: int, *, currency: str | None, redirect_url: str | None, balance: float | None
    ) -> Purchase:
        """
        Return the purchase: paid, or with a link that may be handed out.

        Makes a checkout if none is pending or paid.

        :param amount: whole US dollars.
        :param balance: credits at this moment, for the record.
        :raises VideoDBLimitExceededError: if a limit would be, or was, broken; no link is handed out.
        :raises VideoDBPurchaseUnknownError: if what was bought before cannot be told.
        :raises VideoDBAPIError: if VideoDB refuses, or if the answer was lost twice in this try.
        """
        purchase = self._resolved(amount)
        if purchase is not None and purchase.paid:
            return purchase
        quiet_since = self.clock.now()
        lost_answers = 0
        lost: VideoDBAPIError | None = None
        while True:
            situation = self._look(amount, purchase, quiet_since)
            match next_step(purchase, situation):
                case Done(purchase=purchase):
                    purchase = self.settle(purchase)
                    if purchase.paid:
                        return purchase
                    continue
                case WaitFor(purchase=purchase):
                    return self._about_to_hand_out(purchase)
                case Stop(error=error, purchase=stopped):
                    if stopped is not None:
                        self.journal.save(stopped)
                    raise error
                case LookAgain() as look_again:
                    self._let_settle(look_again)
                    continue
                case Create(generation=generation):
                    purchase = Purchase(
                        generation=generation,
                        amount=amount,
                        currency=currency,
                        key=self._key(generation, amount),
                        balance_before=balance,
                    )
                case CreateAgain(purchase=purchase):
                    if lost is not None and lost_answers == _MOST_LOST_ANSWERS:
                        self.journal.save(purchase)
                        raise lost
                case unknown:
                    assert_never(unknown)
            purchase, lost = self._post(purchase, redirect_url, there_before=_recent_ids(situation))
            quiet_since = self.clock.now()
            lost_answers += lost is not None

    def refuse_too_much(self, amount: int, *, currency: str | None = None) -> None:
        """
        Check the limits of one purchase before anything is sent; that of the month takes a look at the list.

        :raises VideoDBLimitExceededError: naming the limit and who can change it.
        """
        check_per_purchase_limits(amount, self.limits, currency=currency)

    def settle(self, purchase: Purchase) -> Purchase:
        """
        Record a payment that was seen.

        :param purchase: with what was paid.
        :return: the same without what turns out to be another task's; then it may not be paid at all.
        """
        claimed, others = False, []
        for checkout_id in purchase.paid:
            if claimed:
                # Reported, but left to whoever has lost its answer and finds it.
                ours = self.claims.owner(checkout_id) in (None, self._owner)
            else:
                ours = claimed = self._owns(purchase, checkout_id)
            if not ours:
                others.append(checkout_id)
        if any(purchase.is_surely(checkout_id) for checkout_id in others):
            raise self._taken(purchase)
        if others:
            log.warning("Checkouts %s were paid, but they are another task's.", ", ".join(others))
        settled = purchase.disowned(others)
        self.journal.save(settled)
        return settled

    def what_became_of(self, purchase: Purchase) -> tuple[Purchase, str]:
        """Look, buy nothing: return the purchase as it stands, and what remains to be paid, in words."""
        quiet_since = self.clock.now()
        while True:
            # No limit has a say in what is not bought.
            situation = replace(self._look(purchase.amount, purchase, quiet_since), limits=SpendLimits())
            step = next_step(purchase, situation)
            if not isinstance(step, LookAgain):
                break
            self._let_settle(step)
        if isinstance(step, Done):
            purchase = self.settle(step.purchase)
        if isinstance(step, Stop):
            return purchase, str(step.error)
        return purchase, last_look(purchase, situation.listed)

    def _let_settle(self, look_again: LookAgain) -> None:
        log.info("Looking at the list of checkouts again in %.1f s, since it may lag.", look_again.seconds)
        self.clock.sleep(look_again.seconds)

    @property
    def _owner(self) -> str:
        return "/".join(self.identity)

    def _key(self, generation: int, amount: int) -> str:
        return idempotency_key(*self.identity, generation, amount)

    def _resolved(self, amount: int) -> Purchase | None:
        """Return what is recorded, with what a person has said of it since."""
        purchase = self.journal.load()
        if purchase is None:
            return None
        if purchase.amount != amount:
            if purchase.stands:
                log.warning(
                    "This task now asks for %s USD, but a purchase of %s USD was begun and stands.",
                    amount,
                    purchase.amount,
                )
            else:
                # All that was sent was refused, perhaps for the amount: there is nothing that could stand.
                purchase = replace(purchase, amount=amount, key=self._key(purchase.generation, amount))
        answer = self.journal.answer(purchase)
        if answer is not None:
            asked, purchase = purchase, resolved(purchase, answer, self.shop.list_checkouts())
            if purchase.generation != asked.generation:
                purchase = replace(purchase, key=self._key(purchase.generation, purchase.amount))
            if not all(self._owns(purchase, checkout_id) for checkout_id in purchase.paid):
                raise self._taken(purchase)
            self.journal.save(purchase)
            # Under the name that the person was told.
            self.journal.forget_answer(asked)
            log.info("Going on from the answer %r that a person gave for this purchase.", answer)
        return purchase

    def _look(self, amount: int, purchase: Purchase | None, quiet_since: datetime) -> Situation:
        # The list is at least as new as this: what is decided on it must not be taken for settled too early.
        now = self.clock.now()
        checkouts = self.shop.list_checkouts()
        possible = candidates(purchase, checkouts) if purchase is not None and purchase.checkout_id is None else []
        taken = [
            checkout.id
            for checkout in possible
            if checkout.id and self.claims.owner(checkout.id) not in (None, self._owner)
        ]
        own = self._claimed(checkouts) if purchase is None and self.journal.durable else []
        return Situation(
            amount=amount,
            checkouts=checkouts,
            now=now,
            quiet_since=quiet_since,
            limits=self.limits,
            claimed_by_others=taken,
            own=own,
        )

    def _claimed(self, checkouts: Sequence[Checkout]) -> list[Checkout]:
        oldest = self.since - CLOCK_SKEW - DATE_STEP
        return [
            checkout
            for checkout in checkouts
            if checkout.id
            and checkout.created_at
            and checkout.created_at >= oldest
            and self.claims.owner(checkout.id) == self._owner
        ]

    def _post(
        self, purchase: Purchase, redirect_url: str | None, *, there_before: Collection[str]
    ) -> tuple[Purchase, VideoDBAPIError | None]:
        """Send the POST; return the purchase as it then stands, and the error if its answer was lost."""
        if purchase.orphans:
            log.warning(
                "Lost answers left the unpaid checkouts %s behind. Nobody has their links; they expire by themselves.",
                ", ".join(purchase.orphans),
            )
        purchase = purchase.posting(self.clock.now(), there_before=there_before)
        self.journal.save(purchase)
        try:
            checkout = self.shop.topup(
                purchase.amount,
                currency=purchase.currency,
                redirect_url=redirect_url,
                idempotency_key=purchase.key,
            )
        except NOTHING_DONE_ERRORS:
            self.journal.save(purchase.refused())
            raise
        except ANSWER_LOST_ERRORS as err:
            log.warning("%s Looking into the list of checkouts for what became of it.", err)
            return purchase, err
        purchase = purchase.answered(checkout)
        self.journal.save(purchase)
        self._claim(purchase)
        return purchase, None

    def _claim(self, purchase: Purchase) -> None:
        """Tell the other tasks whose checkout this is."""
        if purchase.checkout_id is not None and not self._owns(purchase, purchase.checkout_id):
            raise self._taken(purchase)

    def _owns(self, purchase: Purchase, checkout_id: str) -> bool:
        """Claim a checkout; ``False`` if another task has it."""
        # What VideoDB's answer named needs no waiting for others that may take it: nobody can before it is paid.
        if purchase.is_surely(checkout_id) and (purchase.handed_out or not purchase.paid):
            return self.claims.claim(checkout_id, self._owner)
        return self.claims.take(checkout_id, self._owner)

    @staticmethod
    def _taken(purchase: Purchase) -> VideoDBPurchaseUnknownError:
        return VideoDBPurchaseUnknownError(
            f"Checkout {purchase.checkout_id} over {purchase.amount} USD was taken for its own by another task, so "
            "which of the two it belongs to cannot be told. Nothing more was bought. Start a new DAG run to buy again."
        )

    def _about_to_hand_out(self, purchase: Purchase) -> Purchase:
        """Record that a person may see the link from now on."""
        self._claim(purchase)
        handed_out = purchase.handing_out()
        self.journal.save(handed_out)
        return handed_out


def _recent_ids(situation: Situation) -> tuple[str, ...]:
    """Return the checkouts that a POST of now cannot have made; older ones are told apart by their date."""
    since = situation.now - 2 * CLOCK_SKEW
    return tuple(
        checkout.id
        for checkout in situation.checkouts
        if checkout.id and checkout.created_at and checkout.created_at >= since
    )
