"""
Which task a checkout belongs to.

VideoDB's API carries no reference of ours, so every task that learns the id of its checkout writes it down in an
Airflow Variable, where the other tasks of this Airflow can see it: one Variable a checkout, so that no two writers
share one.
"""

from __future__ import annotations

import time
from typing import Protocol

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
    Claims in Airflow Variables.

    :param conn_id: the connection, since ids are those of one account.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id

    def owner(self, checkout_id: str) -> str | None:
        """Return who claimed a checkout."""
        from airflow.providers.common.compat.sdk import Variable

        owner = Variable.get(self._name(checkout_id), default=None)
        return None if owner is None else str(owner)

    def claim(self, checkout_id: str, owner: str) -> bool:
        """Claim the checkout that VideoDB's answer named; ``False`` if it is somebody else's."""
        from airflow.providers.common.compat.sdk import Variable

        claimed_by = self.owner(checkout_id)
        if claimed_by is None:
            Variable.set(self._name(checkout_id), owner)
        return claimed_by in (None, owner)

    def take(self, checkout_id: str, owner: str) -> bool:
        """Claim a checkout that was found in the list; ``False`` if it is, or becomes, somebody else's."""
        if not self.claim(checkout_id, owner):
            return False
        # Variables know no compare-and-set: of two that take the same one, the last to write has it.
        time.sleep(_CLAIM_SETTLING)
        return self.owner(checkout_id) == owner

    def _name(self, checkout_id: str) -> str:
        return f"videodb_checkout__{self._conn_id}__{checkout_id}"
