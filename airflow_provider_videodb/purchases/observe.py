"""Turns VideoDB's list and the claims into an observation."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy
from airflow_provider_videodb.purchases.rules.approval_record import Approval
from airflow_provider_videodb.purchases.rules.candidates import candidates, remembered
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.observation import Observation

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.claims import TaskClaims
    from airflow_provider_videodb.purchases.clock import Clock, TryClock
    from airflow_provider_videodb.purchases.posting import CheckoutApi
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

log = logging.getLogger(__name__)


def wait_for_list(clock: Clock, seconds: float) -> None:
    """Let time pass before the list is read again."""
    log.info("Reading VideoDB's list again in %.1f s, because it may lag.", seconds)
    clock.sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Observer:
    """
    Observes VideoDB for one try.

    :param try_clock: times what this try sees.
    :param account: fingerprint of the account that is asked.
    :param currency: the currency of a new checkout; ``None`` leaves it to VideoDB.
    :param reprices: whether another amount may follow a POST that led to nothing.
    :param policy: which purchases a person has to approve.
    :param approval: what a person approved.
    """

    api: CheckoutApi
    claims: TaskClaims
    clock: Clock
    try_clock: TryClock
    account: str | None
    limits: SpendLimits = field(default_factory=SpendLimits)
    currency: str | None = None
    reprices: bool = False
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    approval: Approval = field(default_factory=Approval)

    def observe(self, purchase: Purchase | None, *, amount: int) -> Observation:
        """
        Read the list and the claims on this purchase's candidates.

        :param amount: US dollars that the task needs now.
        """
        # The list is at least as new as these times. So a decision never waits too short for list lag.
        now, monotonic = self.clock.now(), self.clock.monotonic()
        checkouts = self.api.list_checkouts()
        times = self.try_clock
        if purchase is not None and purchase.checkout_id is None:
            times.seen = remembered(times.seen, candidates(purchase, checkouts))
        return Observation(
            amount=amount,
            checkouts=checkouts,
            now=now,
            quiet_for=times.quiet_for(monotonic),
            expired_for=times.expired_for(purchase, checkouts, monotonic),
            account=self.account,
            currency=self.currency,
            limits=self.limits,
            seen=times.seen,
            claimed_by_others=self.claims.of_others(times.seen.values()),
            reprices=self.reprices,
            policy=self.policy,
            approval=self.approval,
        )
