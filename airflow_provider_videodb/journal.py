"""
Where a task keeps what must survive its death.

On Airflow 3.3 that is the task state store, elsewhere Airflow Variables; both outlive a retry and a clear and are
named after dag, run, task and map index. (An XCom is wiped at the start of every try, and the task instance's own id
changes.)
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_videodb.answers import answer_variable
from airflow_provider_videodb.record import Purchase
from airflow_provider_videodb.variables import delete_variable, read_variable, write_variable
from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_PURCHASE = "videodb_purchase"
#: Longest key a Variable can have.
_MAX_VARIABLE_KEY = 250

log = logging.getLogger(__name__)


class Store(Protocol):
    """
    Keeps JSON values of one task instance, by name.

    ``ends_with_run`` says whether Airflow deletes them with the DAG run.
    """

    ends_with_run: bool

    def get(self, name: str) -> Any:
        """Return what is kept, ``None`` if nothing is."""
        ...

    def set(self, name: str, value: Any) -> None:
        """Keep ``value`` in place of what is there; when this returns, it is kept."""
        ...

    def delete(self, name: str) -> None:
        """Keep it no longer."""
        ...


def open_store(context: Context) -> Store:
    """Return the store of the running task instance."""
    if STATE_STORE_OUTLIVES_CLEAR and (accessor := context.get("task_state_store")) is not None:
        return TaskStateStore(accessor)
    return VariableStore(task_identity(context))


def task_identity(context: Context) -> tuple[str, str, str, str]:
    """Return what names a task instance through all its tries: dag, run, task, map index."""
    ti = context["ti"]
    return ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)


class TaskStateStore:
    """The task state store of Airflow 3.3."""

    ends_with_run = True

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def get(self, name: str) -> Any:
        """Return what is kept, ``None`` if nothing is."""
        return self._accessor.get(name)

    def set(self, name: str, value: Any) -> None:
        """Keep ``value`` for as long as the DAG run is kept."""
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # exported, but not in its stub

        self._accessor.set(name, value, retention=NEVER_EXPIRE)

    def delete(self, name: str) -> None:
        """Keep it no longer."""
        self._accessor.delete(name)


class VariableStore:
    """Airflow Variables: they stay until somebody deletes them."""

    ends_with_run = False

    def __init__(self, identity: tuple[str, ...]) -> None:
        self._identity = identity

    def get(self, name: str) -> Any:
        """Return what is kept, ``None`` if nothing is."""
        kept = read_variable(self._key(name))
        return None if kept is None else json.loads(kept)

    def set(self, name: str, value: Any) -> None:
        """Keep ``value`` until somebody deletes the Variable."""
        write_variable(self._key(name), json.dumps(value))

    def delete(self, name: str) -> None:
        """Keep it no longer."""
        delete_variable(self._key(name))

    def _key(self, name: str) -> str:
        key = "__".join((name, *self._identity))
        # A long name gives way to its hash, which is as unique.
        return key if len(key) <= _MAX_VARIABLE_KEY else f"{name}__{hashlib.sha256(key.encode()).hexdigest()}"


class Journal:
    """
    The record of one task instance's purchase, and what a person says of it.

    :param store: ``None`` keeps nothing, which is what ``durable=False`` asks for.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        #: Whether anything is recorded at all.
        self.durable = store is not None
        #: Whether the record is removed once the purchase is over.
        self.forgets_what_is_over = store is not None and not store.ends_with_run
        if store is None:
            log.warning("durable=False: the purchase is not recorded, so a retry of this task buys again.")

    def load(self) -> Purchase | None:
        """
        Return what is recorded, ``None`` if nothing is.

        :raises VideoDBPurchaseUnknownError: if what is recorded cannot be read.
        """
        record = None if self._store is None else self._store.get(_PURCHASE)
        return None if record is None else Purchase.from_dict(record)

    def save(self, purchase: Purchase) -> None:
        """
        Record ``purchase`` in place of what is there; when this returns, it is kept.

        Once it is over, a record that nobody would ever delete is removed: the claim on what was paid stays and tells
        a cleared task as much.
        """
        if self._store is None:
            return
        if purchase.is_over and self.forgets_what_is_over:
            self._store.delete(_PURCHASE)
        else:
            self._store.set(_PURCHASE, purchase.to_dict())

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
