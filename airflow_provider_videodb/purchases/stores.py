"""
Keeps what a task must remember after its death.

Airflow 3.3 has a task state store for that. Below it, we use Airflow Variables. Both outlive a retry and a clear, and
both are named after dag, run, task and map index. An XCom would not do, because Airflow deletes it when a try starts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.purchases.variables import read_variable, store_failure, variable_key, write_variable
from airflow_provider_videodb.version_compat import STATE_STORE_OUTLIVES_CLEAR

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_PROBE = "videodb_probe"


class Store(Protocol):
    """Keeps JSON values of one task instance by name."""

    def get(self, name: str) -> Any:
        """
        Return a value, ``None`` if the store proves that there is none.

        :raises VideoDBRecordUnreadableError: if Airflow does not say.
        """
        ...

    def set(self, name: str, value: Any) -> None:
        """
        Replace a value. Airflow has confirmed the write when this returns.

        :raises VideoDBRecordNotKeptError: if Airflow does not confirm it.
        """
        ...


def open_store(context: Context) -> Store:
    """Return the store of the running task instance."""
    variables = VariableStore(task_identity(context))
    accessor = context.get("task_state_store")
    if accessor is None:
        return variables
    # Somebody may have upgraded or reconfigured Airflow since an earlier try wrote its record.
    state = TaskStateStore(accessor)
    return TwoStores(state, variables) if task_state_comes_first() else TwoStores(variables, state)


def task_state_comes_first() -> bool:
    """Say whether tasks write the task state store, and not Variables."""
    return STATE_STORE_OUTLIVES_CLEAR and not _is_emptied_on_success()


def task_identity(context: Context) -> tuple[str, str, str, str]:
    """Return what names a task instance in all its tries: dag, run, task, map index."""
    ti = context["ti"]
    return ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)


class TwoStores:
    """
    Writes one store and also reads another.

    :param first: is written, and read first.
    :param second: is read if the first has no value, because an earlier try may have written there.
    """

    def __init__(self, first: Store, second: Store) -> None:
        self._first = first
        self._second = second

    def get(self, name: str) -> Any:
        """Return the first value that is found, ``None`` if both stores prove that there is none."""
        value = self._first.get(name)
        return self._second.get(name) if value is None else value

    def set(self, name: str, value: Any) -> None:
        """Replace the value of the first store, which hides that of the second."""
        self._first.set(name, value)


class TaskStateStore:
    """Keeps values in Airflow's task state store, which it deletes with the DAG run."""

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def get(self, name: str) -> Any:
        """Return a value, ``None`` if the store proves that there is none."""
        value = self._read(name)
        if value is None:
            # Airflow also shows nothing to a try that it has replaced. But it lets such a try write nothing.
            probe = uuid4().hex
            self.set(_PROBE, probe)
            if self._read(_PROBE) != probe:
                raise VideoDBRecordUnreadableError(_failure("could not read what it just wrote", "not found"))
        return value

    def set(self, name: str, value: Any) -> None:
        """Replace a value, and keep it as long as the DAG run."""
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
    """Keeps values in Airflow Variables until somebody deletes them."""

    def __init__(self, identity: tuple[str, ...]) -> None:
        self._identity = identity

    def get(self, name: str) -> Any:
        """Return a value, ``None`` if Airflow proves that there is none."""
        key = self._key(name)
        kept = read_variable(key)
        if kept is None:
            return None
        try:
            value = json.loads(kept)
        except (ValueError, RecursionError) as err:
            raise _edited(key, str(err)) from err
        if value is None:
            raise _edited(key, kept)
        return value

    def set(self, name: str, value: Any) -> None:
        """Replace a value."""
        write_variable(self._key(name), json.dumps(value))

    def _key(self, name: str) -> str:
        return variable_key(name, *self._identity)


def _is_emptied_on_success() -> bool:
    """Say whether Airflow empties the task state store of a task that succeeds."""
    # Airflow has this module wherever it has a task state store.
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean("state_store", "clear_on_success"))


def _failure(what: str, cause: object) -> str:
    return store_failure(f"{what} in the task's state", cause)


def _edited(key: str, found: str) -> VideoDBRecordUnreadableError:
    return VideoDBRecordUnreadableError(
        f"The Airflow Variable {key!r} does not hold what the task stored ({found[:200]}), so somebody changed it. "
        "Nothing more was bought. Next step: restore the Variable's value, or start a new DAG run to buy again."
    )
