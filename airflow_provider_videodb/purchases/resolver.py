"""Carries out a person's resolution of an unknown outcome."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CheckoutStatus, by_id
from airflow_provider_videodb.purchases.observe import wait_for_list
from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG, status_of
from airflow_provider_videodb.purchases.rules.limits import report_charge_beyond_limit
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from airflow_provider_videodb.purchases.rules.resolution import apply_resolution

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.claims import TaskClaims
    from airflow_provider_videodb.purchases.clock import Clock
    from airflow_provider_videodb.purchases.journal import Journal
    from airflow_provider_videodb.purchases.posting import CheckoutApi
    from airflow_provider_videodb.purchases.rules.limits import SpendLimits

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Applies the resolutions of one task instance; ``identity`` names it in all its tries."""

    api: CheckoutApi
    journal: Journal
    claims: TaskClaims
    identity: tuple[str, ...]
    clock: Clock

    def resolve(self, unresolved: Purchase, limits: SpendLimits) -> Purchase | None:
        """
        Apply a resolution, record the result and delete the resolution.

        :return: ``None`` if there is no resolution.
        :raises VideoDBPurchaseUnknownError: if the resolution cannot be applied.
        """
        resolution = self.journal.resolution(unresolved)
        if resolution is None:
            return None
        now, checkouts = self.clock.now(), self._checkouts(unresolved)
        purchase = apply_resolution(unresolved, resolution, checkouts)
        if purchase.generation != unresolved.generation:
            purchase = replace(purchase, key=idempotency_key(*self.identity, purchase.generation, purchase.amount))
        if purchase.paid:
            purchase = purchase.marked_paid(purchase.paid, at=now)
            self.claims.claim_paid(purchase)
            report_charge_beyond_limit(purchase, limits, checkouts=checkouts, now=now)
        self.journal.save(purchase)
        # The name of the Variable follows from the old key, which the person was told.
        self.journal.delete_resolution(unresolved)
        log.info("The task continues with the resolution %r that a person set.", resolution)
        return purchase

    def _checkouts(self, unresolved: Purchase) -> list[Checkout]:
        checkouts = self.api.list_checkouts()
        status = status_of(unresolved, by_id(checkouts))
        if unresolved.checkout_id is None or status not in (None, CheckoutStatus.EXPIRED):
            return checkouts
        # One poll proves neither that a checkout is gone nor that it has expired.
        wait_for_list(self.clock, LIST_LAG.total_seconds())
        return self.api.list_checkouts()
