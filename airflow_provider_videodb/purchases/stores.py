"""
Where a task keeps what must survive its death.

On Airflow 3.3 that is the task state store, elsewhere Airflow Variables; both outlive a retry and a clear and are
named after dag, run, task and map index. (An XCom is wiped at the start of every try, and the task instance's own id
changes.)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.purchases.variables import read_variable, variable_key, write_variable
from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_PROBE = "videodb_probe"


class Store(Protocol):
    """Keeps JSON values of one task instance, by name."""

    def get(self, name: str) -> Any:
        """
        Return what is kept, ``None`` if it is proven that nothing is.

        :raises VideoDBRecordUnreadableError: if Airflow could not tell.
        """
        ...

    def set(self, name: str, value: Any) -> None:
        """
        Keep ``value`` in place of what is there; when this returns, it is kept.

        :raises VideoDBRecordNotKeptError: if Airflow did not say so.
        """
        ...


def open_store(context: Context) -> Store:
    """Return the store of the running task instance."""
    variables = VariableStore(task_identity(context))
    accessor = context.get("task_state_store")
    if accessor is None:
        return variables
    # An earlier try may have kept its record in the other one, before Airflow was upgraded or configured anew.
    state = TaskStateStore(accessor)
    is_safe = STATE_STORE_OUTLIVES_CLEAR and not _is_emptied_on_success()
    return TwoStores(state, variables) if is_safe else TwoStores(variables, state)


def task_identity(context: Context) -> tuple[str, str, str, str]:
    """Return what names a task instance through all its tries: dag, run, task, map index."""
    ti = context["ti"]
    return ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)


class TwoStores:
    """
    The store that a task writes, and another one that an earlier try may have written.

    :param first: what is written, and read first.
    :param second: what is read where the first has nothing.
    """

    def __init__(self, first: Store, second: Store) -> None:
        self._first = first
        self._second = second

    def get(self, name: str) -> Any:
        """Return what is kept in the first that has it, ``None`` if it is proven that neither does."""
        value = self._first.get(name)
        return self._second.get(name) if value is None else value

    def set(self, name: str, value: Any) -> None:
        """Keep ``value`` in the first store, before which nothing of the second is read."""
        self._first.set(name, value)


class TaskStateStore:
    """The task state store of Airflow 3.3, which deletes what it keeps with the DAG run."""

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def get(self, name: str) -> Any:
        """Return what is kept, ``None`` if it is proven that nothing is."""
        value = self._read(name)
        if value is None:
            # Airflow says the same of a try that it has replaced, which it lets write nothing.
            probe = uuid4().hex
            self.set(_PROBE, probe)
            if self._read(_PROBE) != probe:
                raise VideoDBRecordUnreadableError(_failure("could not read what it has just written", "not found"))
        return value

    def set(self, name: str, value: Any) -> None:
        """Keep ``value`` for as long as the DAG run is kept."""
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined]  # exported, but not in its stub

        try:
            self._accessor.set(name, value, retention=NEVER_EXPIRE)
        except Exception as err:
            raise VideoDBRecordNotKeptError(_failure(f"could not write {name!r}", err)) from err

    def _read(self, name: str) -> Any:
        try:
            return self._accessor.get(name)
        except Exception as err:
            raise VideoDBRecordUnreadableError(_failure(f"could not read {name!r}", err)) from err


class VariableStore:
    """Airflow Variables: they stay until somebody deletes them."""

    def __init__(self, identity: tuple[str, ...]) -> None:
        self._identity = identity

    def get(self, name: str) -> Any:
        """Return what is kept, ``None`` if it is proven that nothing is."""
        key = self._key(name)
        kept = read_variable(key)
        if kept is None:
            return None
        try:
            value = json.loads(kept)
        except ValueError as err:
            raise VideoDBRecordUnreadableError(_failure(f"holds no JSON in its Variable {key!r}", err)) from err
        if value is None:
            raise VideoDBRecordUnreadableError(_failure(f"holds nothing in its Variable {key!r}", kept))
        return value

    def set(self, name: str, value: Any) -> None:
        """Keep ``value`` until somebody deletes the Variable."""
        write_variable(self._key(name), json.dumps(value))

    def _key(self, name: str) -> str:
        return variable_key(name, *self._identity)


def _is_emptied_on_success() -> bool:
    """Say whether Airflow empties the task state store of a task that succeeds or is marked so."""
    # It is there where there is a task state store.
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean("state_store", "clear_on_success"))


def _failure(what: str, why: object) -> str:
    return (
        f"Airflow {what} in the task's state ({str(why)[:200]}), which may say what was bought before. Nothing more "
        "was bought. Check Airflow's API server and its database, then retry the task."
    )
