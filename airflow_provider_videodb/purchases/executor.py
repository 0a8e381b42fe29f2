"""
Carries out what :mod:`~airflow_provider_videodb.purchases.rules.decide` decides.

The order is what keeps a purchase from being made twice: the intent is recorded before the POST that may make a
checkout, the checkout before its link is handed out.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, assert_never

from airflow_provider_videodb.api.models import CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBLimitExceededError
from airflow_provider_videodb.purchases.clock import Clock, TryClock
from airflow_provider_videodb.purchases.posting import PostSender
from airflow_provider_videodb.purchases.rules.candidates import (
    SETTLING_TIME,
    candidates,
    recent_ids,
    remembered,
    status_of,
)
from airflow_provider_videodb.purchases.rules.decide import (
    Action,
    AwaitPayment,
    Fail,
    NotNeeded,
    Observation,
    Paid,
    Recheck,
    ResendPost,
    StartPurchase,
    decide,
    idempotency_key,
)
from airflow_provider_videodb.purchases.rules.limits import (
    SpendLimits,
    check_before_sharing_link,
    check_per_purchase_limits,
)
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.resolution import apply_resolution
from airflow_provider_videodb.purchases.rules.tracking import describe_open_payment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_videodb.exceptions import VideoDBAPIError
    from airflow_provider_videodb.purchases.claims import TaskClaims
    from airflow_provider_videodb.purchases.journal import Journal, Try
    from airflow_provider_videodb.purchases.posting import CheckoutApi

#: Answers that one try may lose before it leaves the rest to the next one.
_MOST_LOST_ANSWERS = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Need:
    """
    What a try would buy, by what the account shows at this moment.

    :param amount: whole US dollars; 0 if nothing is needed.
    :param balance: credits at this moment.
    """

    amount: int
    balance: float | None


@dataclass(frozen=True, kw_only=True)
class PurchaseExecutor:
    """
    Makes the one purchase of one task instance.

    :param identity: what names the task instance through all its tries.
    :param account: fingerprint of the account that is asked.
    :param post_timeout: seconds after which a POST has ended one way or the other.
    """

    shop: CheckoutApi
    journal: Journal
    claims: TaskClaims
    current_try: Try
    limits: SpendLimits
    identity: tuple[str, ...]
    account: str | None = None
    post_timeout: float = 40
    clock: Clock = field(default_factory=Clock)

    def load_existing(self) -> Purchase | None:
        """Return what earlier tries began."""
        return self.journal.load()

    def obtain_checkout(
        self,
        purchase: Purchase | None,
        assess: Callable[[], Need],
        *,
        currency: str | None,
        redirect_url: str | None,
        reprices: bool = False,
    ) -> Purchase | None:
        """
        Return the purchase: paid, or with a link that may be handed out; ``None`` if nothing is needed any more.

        Makes a checkout if none is pending or paid.

        :param purchase: what :meth:`begun` returned.
        :param assess: says what is needed. It is asked again whenever time has passed before a POST.
        :param reprices: whether a POST that led to nothing may be followed by one over another amount.
        :raises VideoDBLimitExceededError: if a limit would be, or was, broken; no link is handed out.
        :raises VideoDBPurchaseUnknownError: if what was bought before cannot be told.
        :raises VideoDBTryOverError: if this try is to do nothing more.
        :raises VideoDBAPIError: if VideoDB refuses, or if the answer was lost twice in this try.
        """
        need = assess()
        if not need.amount and (purchase is None or not purchase.has_effect):
            return None
        answer = None if purchase is None or purchase.paid else self.journal.answer(purchase)
        if purchase is not None and answer is not None:
            purchase, need = self._apply(answer, purchase), assess()
        purchase = self._amended(purchase, need, reprices=reprices)
        clock = TryClock(self.clock, in_flight=0 if purchase is None else purchase.in_flight)
        lost: list[VideoDBAPIError] = []
        while True:
            observation = self._look(purchase, need, clock, currency=currency, reprices=reprices)
            match decide(purchase, observation):
                case Paid(purchase=purchase):
                    purchase = self.settle(purchase)
                    if purchase.paid:
                        self._report_broken_limit(purchase, observation)
                        return purchase
                    need = assess()
                case AwaitPayment(purchase=purchase):
                    return self._share_link(purchase)
                case NotNeeded():
                    return None
                case Fail() as stop:
                    self._stop(stop)
                case Recheck() as look_again:
                    self._let_settle(look_again)
                    purchase = look_again.purchase or purchase
                    need = need if _is_payable(purchase, observation) else assess()
                case StartPurchase() | ResendPost() as action:
                    purchase = self._about_to_post(action, need, currency, lost)
                    purchase = self._post(purchase, redirect_url, observation, lost)
                    clock.note_end_of_post()
                case unknown:
                    assert_never(unknown)

    def check_per_purchase_limits(self, amount: int, *, currency: str | None = None) -> None:
        """
        Check the limits of one purchase before anything is sent; that of the month takes a look at the list.

        :raises VideoDBLimitExceededError: naming the limit and who can change it.
        """
        check_per_purchase_limits(amount, self.limits, currency=currency)

    def record_notified(self, purchase: Purchase, name: str) -> Purchase:
        """Record that a notifier has announced the link."""
        notified = replace(purchase, notified=(*purchase.notified, name))
        self.journal.save(notified)
        return notified

    def confirm(self, seen: Purchase) -> Purchase:
        """
        Record a payment that a wait has seen.

        :return: the same without what turns out to be another task's; then it may not be paid at all.
        """
        purchase = self.journal.load()
        if purchase is not None and purchase.paid:
            return purchase
        return self.settle((purchase or seen).marked_paid(seen.paid, at=self.clock.now()))

    def settle(self, purchase: Purchase) -> Purchase:
        """
        Record a payment that was seen.

        :param purchase: with what was paid.
        :return: the same without what turns out to be another task's; then it may not be paid at all.
        """
        settled = self.claims.without_others(purchase)
        self.journal.save(settled)
        return settled

    def reconcile(self, purchase: Purchase) -> tuple[Purchase, str]:
        """Look, buy nothing: return the purchase as it stands, and what remains to be paid, in words."""
        purchase = self.journal.load() or purchase
        clock = TryClock(self.clock, in_flight=purchase.in_flight)
        need = Need(amount=purchase.amount, balance=None)
        while True:
            # No limit has a say in what is not bought.
            observation = replace(self._look(purchase, need, clock), limits=SpendLimits())
            action: Action = decide(purchase, observation)
            if not isinstance(action, Recheck):
                break
            self._let_settle(action)
            purchase = action.purchase or purchase
        if isinstance(action, Paid):
            purchase = self.settle(action.purchase)
        if isinstance(action, Fail):
            return purchase, str(action.error)
        return purchase, describe_open_payment(purchase, observation.listed, now=observation.now)

    def _let_settle(self, look_again: Recheck) -> None:
        log.info("Looking at the list of checkouts again in %.1f s, since it may lag.", look_again.seconds)
        self.clock.sleep(look_again.seconds)

    def _stop(self, stop: Fail) -> NoReturn:
        if stop.purchase is not None:
            self.journal.save(stop.purchase)
        raise stop.error

    def _report_broken_limit(self, purchase: Purchase, observation: Observation) -> None:
        """Say loudly that a stored card was charged beyond a limit: there is no link that could be withheld."""
        if purchase.link_shared:
            return
        try:
            check_before_sharing_link(
                purchase.amount_paid,
                self.limits,
                checkout_id=purchase.paid[0],
                checkouts=observation.checkouts,
                now=observation.now,
                currency=purchase.currency,
            )
        except VideoDBLimitExceededError as err:
            log.error("%s", err)  # noqa: TRY400 - a message for a person, not a traceback

    def _about_to_post(
        self, action: StartPurchase | ResendPost, need: Need, currency: str | None, lost: Sequence[VideoDBAPIError]
    ) -> Purchase:
        begun = action.after if isinstance(action, StartPurchase) else action.purchase
        if begun is not None and len(lost) == _MOST_LOST_ANSWERS:
            self.journal.save(begun)
            raise lost[-1]
        return self._begin(begun, need, currency) if isinstance(action, StartPurchase) else action.purchase

    def _post(
        self, purchase: Purchase, redirect_url: str | None, observation: Observation, lost: list[VideoDBAPIError]
    ) -> Purchase:
        poster = PostSender(
            shop=self.shop,
            journal=self.journal,
            current_try=self.current_try,
            account=self.account,
            timeout=self.post_timeout,
            clock=self.clock,
        )
        purchase, error = poster.post(
            purchase, redirect_url, there_before=recent_ids(observation.checkouts, now=observation.now)
        )
        if error is None:
            self.claims.claim(purchase)
        else:
            lost.append(error)
        return purchase

    def _key(self, generation: int, amount: int) -> str:
        return idempotency_key(*self.identity, generation, amount)

    def _begin(self, after: Purchase | None, need: Need, currency: str | None) -> Purchase:
        key = self._key(0 if after is None else after.generation + 1, need.amount)
        if after is not None:
            return after.next_generation(amount=need.amount, currency=currency, key=key, balance=need.balance)
        return Purchase(
            generation=0,
            amount=need.amount,
            currency=currency,
            key=key,
            balance_before=need.balance,
        )

    def _amended(self, purchase: Purchase | None, need: Need, *, reprices: bool) -> Purchase | None:
        """Return the purchase over what is needed now, if nothing of it stands."""
        if purchase is None or purchase.paid or not need.amount or purchase.amount == need.amount:
            return purchase
        if not purchase.has_effect:
            # All that was sent was refused, perhaps for the amount: there is nothing that could stand.
            key = self._key(purchase.generation, need.amount)
            return replace(purchase, amount=need.amount, key=key, balance_before=need.balance)
        if not reprices:
            log.warning(
                "This task now asks for %s USD, but a purchase of %s USD was begun and stands.",
                need.amount,
                purchase.amount,
            )
        return purchase

    def _apply(self, answer: str, asked: Purchase) -> Purchase:
        """Return the purchase changed by a person's answer."""
        checkouts = self.shop.list_checkouts()
        if asked.checkout_id is not None and status_of(asked, by_id(checkouts)) in (None, CheckoutStatus.EXPIRED):
            # One look proves neither that it is gone nor that it has expired.
            self._let_settle(Recheck(seconds=SETTLING_TIME.total_seconds()))
            checkouts = self.shop.list_checkouts()
        purchase = apply_resolution(asked, answer, checkouts)
        if purchase.generation != asked.generation:
            purchase = replace(purchase, key=self._key(purchase.generation, purchase.amount))
        purchase = purchase.marked_paid(purchase.paid, at=self.clock.now()) if purchase.paid else purchase
        self.claims.claim_paid(purchase)
        self.journal.save(purchase)
        # Under the name that the person was told.
        self.journal.forget_answer(asked)
        log.info("Going on from the answer %r that a person gave for this purchase.", answer)
        return purchase

    def _look(
        self,
        purchase: Purchase | None,
        need: Need,
        clock: TryClock,
        *,
        currency: str | None = None,
        reprices: bool = False,
    ) -> Observation:
        # The list is at least as new as this: what is decided on it must not be taken for settled too early.
        now, monotonic = self.clock.now(), self.clock.monotonic()
        checkouts = self.shop.list_checkouts()
        if purchase is not None and purchase.checkout_id is None:
            clock.seen = remembered(clock.seen, candidates(purchase, checkouts))
        return Observation(
            amount=need.amount,
            checkouts=checkouts,
            now=now,
            quiet_for=clock.quiet_for(monotonic),
            expired_for=clock.expired_for(purchase, checkouts, monotonic),
            account=self.account,
            currency=currency,
            limits=self.limits,
            seen=clock.seen,
            claimed_by_others=self.claims.of_others(clock.seen.values()),
            reprices=reprices,
        )

    def _share_link(self, purchase: Purchase) -> Purchase:
        """Record that a person may see the link from now on; whether this try may show it is asked last."""
        self.claims.claim(purchase)
        link_shared = purchase.sharing_link()
        self.journal.save(link_shared)
        try:
            self.current_try.check()
        except VideoDBError:
            # Nobody has seen it, so the next try checks the limits again before it shows the link.
            with suppress(VideoDBError):
                self.journal.save(purchase)
            raise
        return link_shared


def _is_payable(purchase: Purchase | None, observation: Observation) -> bool:
    """Say whether a checkout waits to be paid, so that nothing more will be asked for."""
    return purchase is not None and purchase.has_checkout and observation.expired_for is None
