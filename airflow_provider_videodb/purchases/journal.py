"""The record of one task instance's purchase, which no try of the task overwrites unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.purchases.clock import Clock, age_from_now
from airflow_provider_videodb.purchases.current_try import MAX_ANSWER_AGE
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.resolution import answer_variable
from airflow_provider_videodb.purchases.variables import delete_variable, read_variable

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.stores import Store

_PURCHASE = "videodb_purchase"
_FORMAT = 1
#: How often one write looks at the record when the looks grow too old.
_MOST_STALE_LOOKS = 3


class Try(Protocol):
    """The try of a task; :class:`~airflow_provider_videodb.purchases.current_try.CurrentTry` is Airflow's."""

    @property
    def id(self) -> str:
        """What names this try."""
        ...

    def check(self) -> None:
        """Raise if this try is not the newest, or is to do nothing more."""
        ...


class Journal:
    """
    Keeps the record of one task instance's purchase.

    The record names the try that wrote it. A try that finds another one's writing where its own was is not the newest,
    or is not alone: it writes nothing.
    """

    def __init__(self, store: Store, current_try: Try, *, clock: Clock | None = None) -> None:
        self._store = store
        self._try = current_try
        self._clock = clock or Clock()
        self._known: Any = None

    def load(self) -> Purchase | None:
        """
        Return what is recorded, ``None`` if nothing is, and take the record over from the try before.

        :raises VideoDBPurchaseUnknownError: if what is recorded is not a purchase.
        :raises VideoDBTryOverError: if a newer try has taken it over.
        """
        self._known = self._store.get(_PURCHASE)
        if self._known is None:
            return None
        purchase = _purchase_of(self._known)
        if self._known["try"] != self._try.id:
            self._try.check()
            self._replace(purchase)
        return purchase

    def save(self, purchase: Purchase) -> None:
        """
        Record ``purchase`` in place of what is there, unless it is there; when this returns, it is kept.

        Of what is paid only a receipt is kept. It stays, so that a cleared task does not depend on VideoDB's list.

        :raises VideoDBTryOverError: if a newer try has written the record.
        :raises VideoDBRecordUnreadableError: if an older one has.
        :raises VideoDBRecordNotKeptError: if Airflow did not keep it, or the worker stood still meanwhile.
        """
        kept = _kept(purchase)
        if self._known is not None and self._known["purchase"] == kept.to_dict():
            self.check_unchanged()
        else:
            self._replace(kept)

    def check_unchanged(self) -> None:
        """
        Read the record again and refuse to go on if it is not what this try knows.

        :raises VideoDBTryOverError: if a newer try has written the record.
        :raises VideoDBRecordUnreadableError: if an older one has, so that this one must begin again from what it wrote.
        """
        if self._store.get(_PURCHASE) == self._known:
            return
        self._try.check()
        raise VideoDBRecordUnreadableError(
            "The record of this purchase was changed under this try, by an older try that was thought dead or by a "
            "person. Nothing more was bought. Retry the task: it goes on from what is recorded now."
        )

    def answer(self, purchase: Purchase) -> str | None:
        """
        Return what a person answered where the outcome of ``purchase`` could not be told.

        The answer is an Airflow Variable: the UI and the command line both write those.
        """
        answer = read_variable(answer_variable(purchase))
        return None if answer is None else answer.strip()

    def forget_answer(self, purchase: Purchase) -> None:
        """Remove an answer that was acted upon."""
        delete_variable(answer_variable(purchase))

    def _replace(self, purchase: Purchase) -> None:
        """Write on a look at the record that is seconds old at most: Variables know no compare-and-set."""
        for _ in range(_MOST_STALE_LOOKS):
            age = age_from_now(self._clock)
            self.check_unchanged()
            if age() <= MAX_ANSWER_AGE:
                self._write(purchase)
                return
        raise VideoDBRecordNotKeptError(
            f"Airflow took longer than {MAX_ANSWER_AGE:g} s to show what is recorded of this purchase, or the worker "
            "stood still, so another try of the task may have written it. Nothing was written or bought. Check "
            "Airflow's API server and its database, then retry the task."
        )

    def _write(self, purchase: Purchase) -> None:
        record = {"format": _FORMAT, "try": self._try.id, "purchase": purchase.to_dict()}
        self._store.set(_PURCHASE, record)
        self._known = record


def _kept(purchase: Purchase) -> Purchase:
    return purchase.receipt() if purchase.paid else purchase


def _purchase_of(record: Any) -> Purchase:
    if not isinstance(record, Mapping) or record.get("format") != _FORMAT or not isinstance(record.get("try"), str):
        raise VideoDBPurchaseUnknownError(
            "The record of this purchase is not one that this version of the provider wrote, so what was bought is "
            "unknown. Nothing more was bought. Look at the checkouts in VideoDB's console; then start a new DAG run to "
            "buy again."
        )
    return Purchase.from_dict(record.get("purchase"))
