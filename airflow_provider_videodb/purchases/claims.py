"""
Records which task a checkout belongs to.

VideoDB's API carries no reference of ours. So every task that learns the id of its checkout writes a *claim* into an
Airflow Variable, where the other tasks of this Airflow see it. Each checkout has its own Variable, so that two tasks
never write the same one by accident.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.purchases.clock import Clock, age_from_now
from airflow_provider_videodb.purchases.variables import CHECK_AIRFLOW, read_variable, variable_key, write_variable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

log = logging.getLogger(__name__)

#: Two tasks that claim the same checkout notice each other within these seconds.
_CLAIM_RACE = 2.0
#: A claim is not written on a read that is older, in seconds. It must be less than the time above.
_MAX_READ_AGE = 1.5
#: One claim reads this often before it gives up because the reads are too old.
_MAX_STALE_READS = 3


class Claims(Protocol):
    """Tells the tasks of one Airflow which checkout is whose."""

    def owner(self, checkout_id: str) -> str | None:
        """Return who claimed a checkout."""
        ...

    def claim(self, checkout_id: str, owner: str) -> bool:
        """Claim the checkout that a response named; ``False`` if another task has it."""
        ...

    def claim_from_list(self, checkout_id: str, owner: str) -> bool:
        """Claim a listed checkout; ``False`` if another task has it or gets it now."""
        ...


class VariableClaims:
    """
    Keeps claims in Airflow Variables.

    Ids of checkouts are unique, so claims do not depend on the connection. All methods raise
    ``VideoDBRecordUnreadableError`` if Airflow does not say who owns a checkout. They raise
    ``VideoDBRecordNotKeptError`` if Airflow does not keep a claim or the worker froze before it could write one.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()

    def owner(self, checkout_id: str) -> str | None:
        """Return who claimed a checkout."""
        return read_variable(claim_variable(checkout_id))

    def claim(self, checkout_id: str, owner: str) -> bool:
        """Claim the checkout that a response named; ``False`` if another task has it."""
        for _ in range(_MAX_STALE_READS):
            age = age_from_now(self._clock)
            claimed_by = self.owner(checkout_id)
            if claimed_by is not None:
                return claimed_by == owner
            # After that time another task may have claimed it, and would not see this claim.
            if age() <= _MAX_READ_AGE:
                write_variable(claim_variable(checkout_id), owner)
                return True
        raise VideoDBRecordNotKeptError(
            f"Airflow took longer than {_MAX_READ_AGE:g} s to say that nobody has claimed checkout {checkout_id}, or "
            f"the worker froze. So another task may have claimed it. Nothing more was bought. {CHECK_AIRFLOW}"
        )

    def claim_from_list(self, checkout_id: str, owner: str) -> bool:
        """Claim a listed checkout; ``False`` if another task has it or gets it now."""
        if not self.claim(checkout_id, owner):
            return False
        # Variables have no compare-and-set. If two tasks claim at once, the later write wins.
        time.sleep(_CLAIM_RACE)
        last = self.owner(checkout_id)
        if last is None:
            raise VideoDBRecordUnreadableError(
                f"Airflow does not show the Variable {claim_variable(checkout_id)!r} that this task just wrote. So it "
                f"is unknown whose checkout {checkout_id} is. Nothing more was bought. {CHECK_AIRFLOW}"
            )
        return last == owner


class TaskClaims:
    """
    Claims the checkouts of one task's purchase.

    :param identity: what names the task instance in all its tries.
    """

    def __init__(self, claims: Claims, identity: tuple[str, ...]) -> None:
        self._claims = claims
        self._owner = "/".join(identity)

    def of_others(self, checkouts: Iterable[Checkout]) -> list[str]:
        """Return the ids that other tasks have claimed."""
        return [
            checkout.id
            for checkout in checkouts
            if checkout.id and self._claims.owner(checkout.id) not in (None, self._owner)
        ]

    def claim(self, purchase: Purchase) -> None:
        """
        Claim the checkout of a purchase.

        :raises VideoDBPurchaseUnknownError: if another task has it.
        """
        if purchase.checkout_id is not None and not self._claim_one(purchase, purchase.checkout_id):
            raise _claimed_by_another(purchase)

    def claim_paid(self, purchase: Purchase) -> None:
        """
        Claim the paid checkouts that a person named.

        :raises VideoDBPurchaseUnknownError: if another task has it.
        """
        if not all(self._claim_one(purchase, checkout_id) for checkout_id in purchase.paid):
            raise _claimed_by_another(purchase)

    def confirm_paid(self, purchase: Purchase) -> Purchase:
        """
        Claim what was paid, and remove what other tasks own.

        :raises VideoDBPurchaseUnknownError: if another task has the checkout that a response named.
        """
        claimed, others = False, []
        for checkout_id in purchase.paid:
            if claimed:
                # The task reports a second payment. The task that sent its POST without a response may claim it.
                ours = self._claims.owner(checkout_id) in (None, self._owner)
            else:
                ours = claimed = self._claim_one(purchase, checkout_id)
            if not ours:
                others.append(checkout_id)
        if any(purchase.is_confirmed_id(checkout_id) for checkout_id in others):
            raise _claimed_by_another(purchase)
        if others:
            log.warning("These paid checkouts belong to other tasks: %s.", ", ".join(others))
        return purchase.without(others)

    def _claim_one(self, purchase: Purchase, checkout_id: str) -> bool:
        # Nobody else takes a checkout that a response named until it is paid, because nobody else knows its id.
        if purchase.is_confirmed_id(checkout_id) and (purchase.link_shared or not purchase.paid):
            return self._claims.claim(checkout_id, self._owner)
        return self._claims.claim_from_list(checkout_id, self._owner)


def claim_variable(checkout_id: str) -> str:
    """Return the name of the Variable that holds a claim."""
    return variable_key("videodb_checkout", checkout_id)


def _claimed_by_another(purchase: Purchase) -> VideoDBPurchaseUnknownError:
    return VideoDBPurchaseUnknownError(
        f"Another task has claimed checkout {purchase.checkout_id} for {purchase.price}, so it is unknown which task "
        "it belongs to. Nothing more was bought. Next step: look for it in VideoDB's console, then start a new DAG run "
        "to buy again."
    )
