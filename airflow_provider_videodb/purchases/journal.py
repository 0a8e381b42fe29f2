"""Keeps the record of one task instance's purchase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.purchases.clock import Clock, age_from_now
from airflow_provider_videodb.purchases.current_try import MAX_RESPONSE_AGE
from airflow_provider_videodb.purchases.rules.approval_record import Approval
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.record_format import FORMAT, unreadable_record
from airflow_provider_videodb.purchases.rules.resolution import resolution_variable
from airflow_provider_videodb.purchases.variables import CHECK_AIRFLOW, delete_variable, read_variable

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.stores import Store

#: The name of the record.
PURCHASE = "videodb_purchase"
#: One write reads the record this often before it gives up because the reads are too old.
_MAX_STALE_READS = 3


class Try(Protocol):
    """The try of a task, as :class:`~airflow_provider_videodb.purchases.current_try.CurrentTry` is."""

    @property
    def id(self) -> str:
        """What names this try."""
        ...

    def check(self) -> None:
        """Raise if this try is not the newest or should do nothing more."""
        ...


class Journal:
    """
    Reads and writes the record of one task instance's purchase.

    The record names the try that wrote it last. A try that finds the name of another one writes nothing, because it is
    not the newest try or not the only one.
    """

    def __init__(self, store: Store, current_try: Try, *, clock: Clock | None = None) -> None:
        self._store = store
        self._try = current_try
        self._clock = clock or Clock()
        self._known: Any = None

    def load(self) -> Purchase | None:
        """
        Return the record and take it over from an earlier try; ``None`` if there is none.

        Later calls return what this try has read or written last, and ask Airflow nothing.

        :raises VideoDBPurchaseUnknownError: if the record cannot be read.
        :raises VideoDBTryOverError: if a newer try has taken it over.
        """
        if self._known is None:
            self._known = self._store.get(PURCHASE)
        if self._known is None:
            return None
        purchase, _ = contents_of(self._known)
        if self._known["try"] != self._try.id:
            self._try.check()
            self._replace(purchase=None if purchase is None else purchase.to_dict())
        return purchase

    @property
    def approval(self) -> Approval:
        """What a person approved, as far as :meth:`load` has read or this try has written it."""
        return Approval() if self._known is None else contents_of(self._known)[1]

    def save_approval(self, approval: Approval) -> None:
        """
        Replace what is recorded of the approval. Call :meth:`load` first.

        :raises VideoDBPurchaseError: as :meth:`save` does.
        """
        self._replace(approval=approval.to_dict())

    def save(self, purchase: Purchase) -> None:
        """
        Replace the record, unless it is the same. Airflow has confirmed the write when this returns.

        Only a receipt of a paid purchase is kept. It stays, so that a cleared task does not depend on VideoDB's list.

        :raises VideoDBTryOverError: if a newer try has written the record.
        :raises VideoDBRecordUnreadableError: if an older one has.
        :raises VideoDBRecordNotKeptError: if Airflow does not confirm the write, or the worker froze before it.
        """
        kept = purchase.receipt() if purchase.paid else purchase
        if self._known is not None and self._known["purchase"] == kept.to_dict():
            self.check_unchanged()
        else:
            self._replace(purchase=kept.to_dict())

    def check_unchanged(self) -> None:
        """
        Read the record again and compare it with what this try knows.

        :raises VideoDBTryOverError: if a newer try has written the record.
        :raises VideoDBRecordUnreadableError: if an older one has, so that this try must start again from there.
        """
        if self._store.get(PURCHASE) == self._known:
            return
        self._try.check()
        raise VideoDBRecordUnreadableError(
            "The record of this purchase changed during this try. An older try that Airflow believed dead, or a "
            "person, may have written it. Nothing more was bought. Next step: retry the task, which continues from the "
            "record as it is now."
        )

    def resolution(self, purchase: Purchase) -> str | None:
        """
        Return a person's resolution of an unknown outcome, ``None`` if there is none.

        It is an Airflow Variable, because people can write one in the UI and on the command line.
        """
        resolution = read_variable(resolution_variable(purchase))
        return None if resolution is None else resolution.strip()

    def delete_resolution(self, purchase: Purchase) -> None:
        """Delete a resolution that was applied."""
        delete_variable(resolution_variable(purchase))

    def _replace(self, **changed: Any) -> None:
        """Write on a read that is seconds old at most, because Variables have no compare-and-set."""
        for _ in range(_MAX_STALE_READS):
            age = age_from_now(self._clock)
            self.check_unchanged()
            if age() <= MAX_RESPONSE_AGE:
                self._write(changed)
                return
        raise VideoDBRecordNotKeptError(
            f"Airflow took longer than {MAX_RESPONSE_AGE:g} s to show the record of this purchase, or the worker "
            f"froze. So another try may have written the record. Nothing was written or bought. {CHECK_AIRFLOW}"
        )

    def _write(self, changed: Mapping[str, Any]) -> None:
        # A newer version of this package may have written fields that this one does not know.
        record = {"purchase": None, **(self._known or {}), "format": FORMAT, "try": self._try.id, **changed}
        self._store.set(PURCHASE, record)
        self._known = record


def contents_of(record: Any) -> tuple[Purchase | None, Approval]:
    """
    Return the purchase of a record, if there is one yet, and what a person approved.

    :raises VideoDBPurchaseUnknownError: if the record cannot be read.
    """
    is_ours = isinstance(record, Mapping) and isinstance(record.get("format", 0), int)
    if not is_ours or not isinstance(record.get("try"), str):
        raise unreadable_record("this package did not write it")
    approval = Approval.from_dict(record.get("approval"))
    if record.get("purchase") is None and approval.asked is not None:
        # A person was asked, and nothing has been bought yet.
        return None, approval
    return Purchase.from_dict(record.get("purchase")), approval
