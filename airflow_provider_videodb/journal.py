"""
Where the record of a purchase survives what kills the task.

On Airflow 3.3 that is the task state store, below it an Airflow Variable; both outlive a retry and are named after
dag, run, task and map index. (An XCom is wiped at the start of every try, and the task instance's own id changes.)
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_videodb.purchase import Purchase
from airflow_provider_videodb.version_compat import AIRFLOW_V_3_3_PLUS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_STORE_KEY = "videodb_purchase"
#: Longest key a Variable can have.
_MAX_VARIABLE_KEY = 250

log = logging.getLogger(__name__)


class Journal(Protocol):
    """Keeps the record of one task instance's purchase."""

    def load(self) -> Purchase | None:
        """Return what is recorded, ``None`` if nothing is."""
        ...

    def save(self, purchase: Purchase) -> None:
        """Record ``purchase`` in place of what is there; when this returns, it is kept."""
        ...


def open_journal(context: Context, *, durable: bool) -> Journal:
    """Return the journal of the running task instance."""
    if not durable:
        log.warning("durable=False: nothing is recorded, so a retry of this task buys again.")
        return ForgetfulJournal()
    if AIRFLOW_V_3_3_PLUS and (store := context.get("task_state_store")) is not None:
        return TaskStateJournal(store)
    return VariableJournal("__".join(("videodb_purchase", *task_identity(context))))


def task_identity(context: Context) -> tuple[str, str, str, str]:
    """Return what names a task instance through all its tries: dag, run, task, map index."""
    ti = context["ti"]
    return ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)


class TaskStateJournal:
    """The task state store of Airflow 3.3: deleted with the DAG run."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def load(self) -> Purchase | None:
        """Return what is recorded, ``None`` if nothing is."""
        record = self._store.get(_STORE_KEY)
        return None if record is None else Purchase.from_dict(record)

    def save(self, purchase: Purchase) -> None:
        """Record ``purchase``, for as long as the DAG run is kept."""
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # exported, but not in its stub

        self._store.set(_STORE_KEY, purchase.to_dict(), retention=NEVER_EXPIRE)


class VariableJournal:
    """An Airflow Variable, for Airflow below 3.3."""

    def __init__(self, name: str) -> None:
        # A long name gives way to its hash, which is as unique.
        digest = hashlib.sha256(name.encode()).hexdigest()
        self.name = name if len(name) <= _MAX_VARIABLE_KEY else f"videodb_purchase__{digest}"

    def load(self) -> Purchase | None:
        """Return what is recorded, ``None`` if nothing is."""
        from airflow.providers.common.compat.sdk import Variable

        record = Variable.get(self.name, default=None, deserialize_json=True)
        return None if record is None else Purchase.from_dict(record)

    def save(self, purchase: Purchase) -> None:
        """Record ``purchase`` until somebody deletes the Variable."""
        from airflow.providers.common.compat.sdk import Variable

        Variable.set(self.name, purchase.to_dict(), serialize_json=True)


class ForgetfulJournal:
    """Records nothing: what ``durable=False`` asks for."""

    def load(self) -> Purchase | None:
        """Return ``None``."""
        return None

    def save(self, purchase: Purchase) -> None:
        """Do nothing."""
