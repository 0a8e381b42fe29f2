"""
Which task a checkout belongs to.

VideoDB's API carries no reference of ours, so every task that learns the id of its checkout writes it down in an
Airflow Variable, where the other tasks of this Airflow can see it: one Variable a checkout, so that no two writers
share one.
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
from airflow_provider_videodb.purchases.variables import read_variable, variable_key, write_variable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

log = logging.getLogger(__name__)

#: Seconds within which two tasks that take the same checkout notice each other.
_CLAIM_SETTLING = 2.0
#: Seconds after which a look that found no claim is too old to claim on: it must be less than they wait.
_MAX_LOOK_AGE = 1.5
#: How often one claim looks when the looks grow too old.
_MOST_STALE_LOOKS = 3


class Claims(Protocol):
    """Tells the tasks of one Airflow whose checkout is whose."""

    def owner(self, checkout_id: str) -> str | None:
        """Return who claimed a checkout."""
        ...

    def claim(self, checkout_id: str, owner: str) -> bool:
        """Claim the checkout that VideoDB's answer named; ``False`` if it is somebody else's."""
        ...

    def take(self, checkout_id: str, owner: str) -> bool:
        """Claim a checkout that was found in the list; ``False`` if it is, or becomes, somebody else's."""
        ...


class VariableClaims:
    """
    Claims in Airflow Variables, whichever connection leads to the account: ids of checkouts are unique.

    :meth:`owner` and what begins with it raise ``VideoDBRecordUnreadableError`` if Airflow cannot tell, and
    ``VideoDBRecordNotKeptError`` if it does not keep a claim, or if the worker stood still before it could be sent.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()

    def owner(self, checkout_id: str) -> str | None:
        """Return who claimed a checkout."""
        return read_variable(claim_variable(checkout_id))

    def claim(self, checkout_id: str, owner: str) -> bool:
        """Claim the checkout that VideoDB's answer named; ``False`` if it is somebody else's."""
        for _ in range(_MOST_STALE_LOOKS):
            age = age_from_now(self._clock)
            claimed_by = self.owner(checkout_id)
            if claimed_by is not None:
                return claimed_by == owner
            # Later than that, another task may have claimed it and not seen this one's claim.
            if age() <= _MAX_LOOK_AGE:
                write_variable(claim_variable(checkout_id), owner)
                return True
        raise VideoDBRecordNotKeptError(
            f"Airflow took longer than {_MAX_LOOK_AGE:g} s to say that nobody has claimed checkout {checkout_id}, or "
            "the worker stood still, so another task may have claimed it. Nothing more was bought. Check Airflow's API "
            "server and its database, then retry the task."
        )

    def take(self, checkout_id: str, owner: str) -> bool:
        """Claim a checkout that was found in the list; ``False`` if it is, or becomes, somebody else's."""
        if not self.claim(checkout_id, owner):
            return False
        # Variables know no compare-and-set: of two that take the same one, the last to write has it.
        time.sleep(_CLAIM_SETTLING)
        last = self.owner(checkout_id)
        if last is None:
            raise VideoDBRecordUnreadableError(
                f"Airflow does not show the Variable {claim_variable(checkout_id)!r} that this task has just written, "
                "so whose checkout it is cannot be told. Nothing more was bought. Retry the task."
            )
        return last == owner


class TaskClaims:
    """
    Whose the checkouts of one task's purchase are.

    :param identity: what names the task instance through all its tries.
    """

    def __init__(self, claims: Claims, identity: tuple[str, ...]) -> None:
        self._claims = claims
        self._owner = "/".join(identity)

    def of_others(self, checkouts: Iterable[Checkout]) -> list[str]:
        """Return which of these other tasks have claimed."""
        return [
            checkout.id
            for checkout in checkouts
            if checkout.id and self._claims.owner(checkout.id) not in (None, self._owner)
        ]

    def claim(self, purchase: Purchase) -> None:
        """
        Tell the other tasks whose checkout this purchase's is.

        :raises VideoDBPurchaseUnknownError: if another task has taken it.
        """
        if purchase.checkout_id is not None and not self._take(purchase, purchase.checkout_id):
            raise _taken(purchase)

    def claim_paid(self, purchase: Purchase) -> None:
        """
        Claim what a person says was paid for this purchase.

        :raises VideoDBPurchaseUnknownError: if another task has taken it.
        """
        if not all(self._take(purchase, checkout_id) for checkout_id in purchase.paid):
            raise _taken(purchase)

    def without_others(self, purchase: Purchase) -> Purchase:
        """
        Claim what was paid, and return the purchase without what turns out to be another task's.

        :raises VideoDBPurchaseUnknownError: if another task has taken what VideoDB's answer named.
        """
        claimed, others = False, []
        for checkout_id in purchase.paid:
            if claimed:
                # Reported, but left to whoever has lost its answer and finds it.
                ours = self._claims.owner(checkout_id) in (None, self._owner)
            else:
                ours = claimed = self._take(purchase, checkout_id)
            if not ours:
                others.append(checkout_id)
        if any(purchase.is_confirmed_id(checkout_id) for checkout_id in others):
            raise _taken(purchase)
        if others:
            log.warning("Checkouts %s were paid, but they are another task's.", ", ".join(others))
        return purchase.without(others)

    def _take(self, purchase: Purchase, checkout_id: str) -> bool:
        """Claim a checkout; ``False`` if another task has it."""
        # What VideoDB's answer named needs no waiting for others that may take it: nobody can before it is paid.
        if purchase.is_confirmed_id(checkout_id) and (purchase.link_shared or not purchase.paid):
            return self._claims.claim(checkout_id, self._owner)
        return self._claims.take(checkout_id, self._owner)


def _taken(purchase: Purchase) -> VideoDBPurchaseUnknownError:
    return VideoDBPurchaseUnknownError(
        f"Checkout {purchase.checkout_id} over {purchase.price} was taken for its own by another task, so which "
        "of the two it belongs to cannot be told. Nothing more was bought. Start a new DAG run to buy again."
    )


def claim_variable(checkout_id: str) -> str:
    """Return the name of the Variable that says whose checkout it is."""
    return variable_key("videodb_checkout", checkout_id)
