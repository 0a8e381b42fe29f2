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
from typing import TYPE_CHECKING, Protocol

from airflow_provider_videodb.exceptions import (
    ANSWER_LOST_ERRORS,
    NOTHING_DONE_ERRORS,
    VideoDBAPIError,
    VideoDBPurchaseUnknownError,
)
from airflow_provider_videodb.limits import SpendLimits, check_limits
from airflow_provider_videodb.purchase import (
    CLOCK_SKEW,
    Create,
    CreateAgain,
    Done,
    LookAgain,
    Situation,
    Stop,
    WaitFor,
    candidates,
    how_to_resolve,
    idempotency_key,
    next_step,
    resolved,
)
from airflow_provider_videodb.record import Purchase

if TYPE_CHECKING:
    from airflow_provider_videodb.claims import Claims
    from airflow_provider_videodb.journal import Journal
    from airflow_provider_videodb.models import Checkout

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
    """

    shop: Shop
    journal: Journal
    claims: Claims
    limits: SpendLimits
    identity: tuple[str, ...]
    clock: Clock = field(default_factory=Clock)

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
        purchase = self._begun(amount)
        lost: VideoDBAPIError | None = None
        while True:
            situation = self._look(amount, purchase)
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
                case LookAgain(seconds=seconds):
                    log.info("Looking at the list of checkouts again in %.1f s, since it may lag.", seconds)
                    self.clock.sleep(seconds)
                    continue
                case Create(generation=generation, orphans=orphans):
                    purchase = Purchase(
                        generation=generation,
                        amount=amount,
                        currency=currency,
                        key=idempotency_key(*self.identity, generation),
                        balance_before=balance,
                        orphans=orphans,
                        not_ours=_recent_ids(situation),
                    )
                case CreateAgain(purchase=purchase):
                    if lost is not None:
                        self.journal.save(purchase)
                        raise lost
            purchase, lost = self._post(purchase, redirect_url)

    def refuse_too_much(self, amount: int) -> None:
        """
        Check the limits of one purchase before anything is sent; that of the month takes a look at the list.

        :raises VideoDBLimitExceededError: naming the limit and who can change it.
        """
        check_limits(amount, replace(self.limits, monthly_topup_limit=None), checkouts=(), now=self.clock.now())

    def settle(self, purchase: Purchase) -> Purchase:
        """
        Record a payment that was seen.

        :param purchase: with what was paid.
        :return: the same without what turns out to be another task's; then it may not be paid at all.
        """
        others = [
            checkout_id
            for checkout_id in purchase.paid
            if not purchase.is_surely(checkout_id) and not self.claims.take(checkout_id, self._owner)
        ]
        if others:
            log.warning("Checkouts %s were paid, but they are another task's.", ", ".join(others))
        settled = purchase.disowned(others)
        self.journal.save(settled)
        return settled

    @property
    def _owner(self) -> str:
        return "/".join(self.identity)

    def _begun(self, amount: int) -> Purchase | None:
        """Return what earlier tries began, with what a person has said of it since."""
        purchase = self.journal.load()
        if purchase is None:
            return None
        if purchase.amount != amount:
            log.warning(
                "This task now asks for %s USD, but a purchase of %s USD was begun and stands.", amount, purchase.amount
            )
        answer = self.journal.answer(purchase)
        if answer is not None:
            purchase = resolved(purchase, answer, self.shop.list_checkouts())
            self.journal.save(purchase)
            self.journal.forget_answer(purchase)
            log.info("Going on from the answer %r that a person gave for this purchase.", answer)
        return purchase

    def _look(self, amount: int, purchase: Purchase | None) -> Situation:
        checkouts = self.shop.list_checkouts()
        possible = candidates(purchase, checkouts) if purchase is not None and purchase.checkout_id is None else []
        taken = [
            checkout.id
            for checkout in possible
            if checkout.id and self.claims.owner(checkout.id) not in (None, self._owner)
        ]
        return Situation(
            amount=amount, checkouts=checkouts, now=self.clock.now(), limits=self.limits, claimed_by_others=taken
        )

    def _post(self, purchase: Purchase, redirect_url: str | None) -> tuple[Purchase, VideoDBAPIError | None]:
        """Send the POST; return the purchase as it then stands, and the error if its answer was lost."""
        if purchase.orphans:
            log.warning(
                "Lost answers left the unpaid checkouts %s behind. Nobody has their links; they expire by themselves.",
                ", ".join(purchase.orphans),
            )
        purchase = purchase.posting(self.clock.now())
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
        if purchase.checkout_id is None or self.claims.claim(purchase.checkout_id, self._owner):
            return
        raise VideoDBPurchaseUnknownError(
            f"Checkout {purchase.checkout_id} over {purchase.amount} USD was taken for its own by another task, so "
            f"which of the two it belongs to cannot be told. Nothing more was bought. {how_to_resolve(purchase)}"
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
