"""
Carries out what :mod:`~airflow_provider_videodb.purchases.rules.decide` decides.

The order of writes keeps a task from buying twice. The intent is recorded before the POST that may make a checkout, and
the checkout is recorded before its link is shared.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, assert_never

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.purchases.clock import Clock, TryClock
from airflow_provider_videodb.purchases.observe import Observer, wait_for_list
from airflow_provider_videodb.purchases.posting import PostSender
from airflow_provider_videodb.purchases.resolver import Resolver
from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy, missing_approval_error
from airflow_provider_videodb.purchases.rules.candidates import recent_ids
from airflow_provider_videodb.purchases.rules.decide import (
    Action,
    AskApproval,
    AwaitPayment,
    Fail,
    NotNeeded,
    Paid,
    Recheck,
    ResendPost,
    StartPurchase,
    decide,
)
from airflow_provider_videodb.purchases.rules.limits import (
    SpendLimits,
    check_per_purchase_limits,
    report_charge_beyond_limit,
)
from airflow_provider_videodb.purchases.rules.need import begin_purchase, with_current_amount
from airflow_provider_videodb.purchases.rules.tracking import describe_open_payment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_videodb.exceptions import VideoDBAPIError
    from airflow_provider_videodb.purchases.claims import TaskClaims
    from airflow_provider_videodb.purchases.journal import Journal, Try
    from airflow_provider_videodb.purchases.posting import CheckoutApi
    from airflow_provider_videodb.purchases.rules.need import Need
    from airflow_provider_videodb.purchases.rules.observation import Observation
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: One try loses this many responses before it leaves the rest to the next try.
_MAX_LOST_RESPONSES = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PurchaseExecutor:
    """
    Makes the one purchase of one task instance.

    :param identity: what names the task instance in all its tries.
    :param account: fingerprint of the account that is asked.
    :param post_timeout: seconds after which a POST has ended one way or the other.
    :param paid_page: the page that opens after the payment if the task names none.
    :param policy: which purchases a person has to approve.
    :param ask: asks a person, and ends this run of the task. Without it, a purchase that needs an approval fails.
    """

    api: CheckoutApi
    journal: Journal
    claims: TaskClaims
    current_try: Try
    limits: SpendLimits
    identity: tuple[str, ...]
    account: str | None = None
    post_timeout: float = 40
    paid_page: str | None = None
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    ask: Callable[[AskApproval, Observation], NoReturn] | None = None
    clock: Clock = field(default_factory=Clock)

    def load_existing(self) -> Purchase | None:
        """Return the purchase of earlier tries, if there is one."""
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
        Return the purchase, paid or with a link to share. Buy unless one is pending or paid.

        :param purchase: what :meth:`load_existing` returned.
        :param assess: returns the need. It is called again whenever time has passed before a POST.
        :param reprices: whether another amount may follow a POST that led to nothing.
        :return: ``None`` if nothing is needed any longer.
        :raises VideoDBLimitExceededError: if a limit is broken; no link is shared.
        :raises VideoDBPurchaseUnknownError: if it is unknown what was bought before.
        :raises VideoDBTryOverError: if this try should do nothing more.
        :raises VideoDBAPIError: if VideoDB refuses, or if this try lost two responses.
        """
        need = assess()
        if not need.amount and (purchase is None or not purchase.has_effect):
            return None
        if purchase is not None and not purchase.paid and (resolved := self._resolve(purchase)) is not None:
            purchase, need = resolved, assess()
        if purchase is not None and purchase.paid:
            # Its claim was written before the record that calls it paid.
            return purchase
        purchase = self._with_current_amount(purchase, need, reprices=reprices)
        observer = self._observer(purchase, self.limits, currency=currency, reprices=reprices)
        return self._buy(purchase, need, assess, observer, redirect_url)

    def _buy(
        self, purchase: Purchase | None, need: Need, assess: Callable[[], Need], observer: Observer, back: str | None
    ) -> Purchase | None:
        lost: list[VideoDBAPIError] = []
        while True:
            observation = observer.observe(purchase, amount=need.amount)
            match decide(purchase, observation):
                case Paid(purchase=purchase):
                    purchase = self.mark_paid(purchase)
                    if purchase.paid:
                        report_charge_beyond_limit(
                            purchase, self.limits, checkouts=observation.checkouts, now=observation.now
                        )
                        return purchase
                    need = assess()
                case AwaitPayment(purchase=purchase):
                    return self._share_link(purchase)
                case NotNeeded():
                    return None
                case Fail(error=error, purchase=known):
                    if known is not None:
                        self.journal.save(known)
                    raise error
                case AskApproval() as asking:
                    if self.ask is None:
                        raise missing_approval_error(self.policy, asking.amount, currency=asking.currency)
                    self.ask(asking, observation)
                case Recheck() as recheck:
                    wait_for_list(self.clock, recheck.seconds)
                    purchase = recheck.purchase or purchase
                    need = need if _is_payable(purchase, observation) else assess()
                case StartPurchase() | ResendPost() as action:
                    purchase = self._before_post(action, need, observer.currency, lost)
                    purchase = self._post(purchase, back, observation, lost)
                    observer.try_clock.note_end_of_post()
                case unknown:
                    assert_never(unknown)

    def check_per_purchase_limits(self, amount: int, *, currency: str | None = None) -> None:
        """Check the limits that need no list; ``amount`` is in US dollars."""
        check_per_purchase_limits(amount, self.limits, currency=currency)

    def record(self, purchase: Purchase) -> Purchase:
        """Record what people were told, so that a retry does not tell them again."""
        self.journal.save(purchase)
        return purchase

    def record_action(self, purchase: Purchase, *, max_tries: int) -> None:
        """Record that Required Actions show the link, so that a retry does not remove the response."""
        self.journal.save(replace(purchase, action_max_tries=max_tries))

    def confirm(self, seen: Purchase) -> Purchase:
        """
        Record a payment that a wait has seen.

        :return: the purchase without what belongs to other tasks. It may then not be paid at all.
        """
        purchase = self.journal.load()
        if purchase is not None and purchase.paid:
            return purchase
        return self.mark_paid((purchase or seen).marked_paid(seen.paid, at=self.clock.now()))

    def mark_paid(self, purchase: Purchase) -> Purchase:
        """
        Claim and record what was paid.

        :return: the purchase without what belongs to other tasks. It may then not be paid at all.
        """
        confirmed = self.claims.confirm_paid(purchase)
        self.journal.save(confirmed)
        return confirmed

    def reconcile(self, purchase: Purchase) -> tuple[Purchase, str]:
        """Return the purchase as VideoDB shows it, and a text on what can still be paid. Buy nothing."""
        purchase = self.journal.load() or purchase
        # No limit applies, because nothing is bought.
        observer = self._observer(purchase, SpendLimits())
        while True:
            observation = observer.observe(purchase, amount=purchase.amount)
            action: Action = decide(purchase, observation)
            if not isinstance(action, Recheck):
                break
            wait_for_list(self.clock, action.seconds)
            purchase = action.purchase or purchase
        if isinstance(action, Paid):
            purchase = self.mark_paid(action.purchase)
        if isinstance(action, Fail):
            return purchase, str(action.error)
        return purchase, describe_open_payment(purchase, observation.listed, now=observation.now)

    def _resolve(self, unresolved: Purchase) -> Purchase | None:
        resolver = Resolver(
            api=self.api, journal=self.journal, claims=self.claims, identity=self.identity, clock=self.clock
        )
        return resolver.resolve(unresolved, self.limits)

    def _observer(
        self, purchase: Purchase | None, limits: SpendLimits, *, currency: str | None = None, reprices: bool = False
    ) -> Observer:
        return Observer(
            api=self.api,
            claims=self.claims,
            clock=self.clock,
            try_clock=TryClock(self.clock, in_flight=0 if purchase is None else purchase.in_flight),
            account=self.account,
            limits=limits,
            currency=currency,
            reprices=reprices,
            policy=self.policy,
            approval=self.journal.approval,
        )

    def _before_post(
        self, action: StartPurchase | ResendPost, need: Need, currency: str | None, lost: Sequence[VideoDBAPIError]
    ) -> Purchase:
        existing = action.after if isinstance(action, StartPurchase) else action.purchase
        if existing is not None and len(lost) == _MAX_LOST_RESPONSES:
            self.journal.save(existing)
            raise lost[-1]
        if isinstance(action, ResendPost):
            return action.purchase
        return begin_purchase(existing, need, identity=self.identity, currency=currency)

    def _post(
        self, purchase: Purchase, redirect_url: str | None, observation: Observation, lost: list[VideoDBAPIError]
    ) -> Purchase:
        sender = PostSender(
            api=self.api,
            journal=self.journal,
            current_try=self.current_try,
            account=self.account,
            policy=self.policy,
            timeout=self.post_timeout,
            clock=self.clock,
        )
        purchase = purchase.returning_to(redirect_url, default=self.paid_page)
        there_before = recent_ids(observation.checkouts, now=observation.now)
        purchase, error = sender.post(purchase, purchase.redirect_url or redirect_url, there_before=there_before)
        if error is None:
            self.claims.claim(purchase)
        else:
            lost.append(error)
        return purchase

    def _with_current_amount(self, purchase: Purchase | None, need: Need, *, reprices: bool) -> Purchase | None:
        """Change the amount to what is needed now, unless VideoDB may have made a checkout."""
        if purchase is None or not need.amount or purchase.amount == need.amount:
            return purchase
        if not purchase.has_effect:
            return with_current_amount(purchase, need, identity=self.identity)
        if not reprices:
            log.warning("This task now asks for %s USD.", need.amount)
            log.warning("It continues its existing purchase of %s USD.", purchase.amount)
        return purchase

    def _share_link(self, purchase: Purchase) -> Purchase:
        """Record that people may see the link, then ask Airflow whether this try may share it."""
        self.claims.claim(purchase)
        shared = purchase.sharing_link()
        self.journal.save(shared)
        try:
            self.current_try.check()
        except VideoDBError:
            # Nobody has seen the link, so the next try checks the limits again.
            with suppress(VideoDBError):
                self.journal.save(purchase)
            raise
        return shared


def _is_payable(purchase: Purchase | None, observation: Observation) -> bool:
    """Say whether people can pay a checkout, so that the task sends no POST."""
    return purchase is not None and purchase.has_checkout and observation.expired_for is None
