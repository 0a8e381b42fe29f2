"""
Which task a checkout belongs to.

VideoDB's API carries no reference of ours, so every task that learns the id of its checkout writes it down in an
Airflow Variable, where the other tasks of this Airflow can see it: one Variable a checkout, so that no two writers
share one.
"""

from __future__ import annotations

import time
from typing import Protocol

from airflow_provider_videodb.variables import read_variable, write_variable

#: Seconds within which two tasks that take the same checkout notice each other.
_CLAIM_SETTLING = 2.0


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

    :meth:`owner` and what begins with it raise ``VideoDBRecordUnreadableError`` if Airflow cannot tell.
    """

    def owner(self, checkout_id: str) -> str | None:
        """Return who claimed a checkout."""
        return read_variable(claim_variable(checkout_id))

    def claim(self, checkout_id: str, owner: str) -> bool:
        """Claim the checkout that VideoDB's answer named; ``False`` if it is somebody else's."""
        claimed_by = self.owner(checkout_id)
        if claimed_by is None:
            write_variable(claim_variable(checkout_id), owner)
        return claimed_by in (None, owner)

    def take(self, checkout_id: str, owner: str) -> bool:
        """Claim a checkout that was found in the list; ``False`` if it is, or becomes, somebody else's."""
        if not self.claim(checkout_id, owner):
            return False
        # Variables know no compare-and-set: of two that take the same one, the last to write has it.
        time.sleep(_CLAIM_SETTLING)
        return self.owner(checkout_id) == owner


def claim_variable(checkout_id: str) -> str:
    """Return the name of the Variable that says whose checkout it is."""
    return f"videodb_checkout__{checkout_id}"
