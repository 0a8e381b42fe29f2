"""The records of purchases in Airflow's metadata database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from sqlalchemy import and_, or_, select

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.overview.database import reading
from airflow_provider_videodb.overview.recorded import OVER, RecordedPurchase, TaskName
from airflow_provider_videodb.purchases.claims import claim_variable
from airflow_provider_videodb.purchases.journal import PURCHASE, contents_of
from airflow_provider_videodb.purchases.stores import task_state_comes_first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: A database has a limit to the values of one query.
_PER_QUERY = 500
_NOT_OVER = or_(TaskInstance.state.is_(None), TaskInstance.state.not_in(sorted(one for one in OVER if one)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """
    What the database has of purchases.

    :param unreadable: the names of records that cannot be read.
    """

    purchases: tuple[RecordedPurchase, ...]
    unreadable: tuple[str, ...]


def read_purchases() -> Records:
    """
    Return the purchase of each task instance.

    :raises VideoDBRecordUnreadableError: if the database fails.
    """
    stores = [_of_variables(), _of_task_states()]
    # A task writes one store, and reads the other if the first has nothing.
    first, second = reversed(stores) if task_state_comes_first() else stores
    texts = {**second, **first}
    found: dict[TaskName | str, Purchase] = {}
    unreadable = []
    for name, text in texts.items():
        try:
            purchase, _ = contents_of(json.loads(text or ""))
        except (ValueError, RecursionError, VideoDBPurchaseUnknownError):
            unreadable.append(str(name))
        else:
            if purchase is not None:
                found[name] = purchase
    states = _read_states(name for name in found if isinstance(name, TaskName))
    return Records(
        purchases=tuple(_recorded(name, purchase, states) for name, purchase in found.items()),
        unreadable=tuple(unreadable),
    )


def read_unpaid_purchases(may_read: Callable[[str], bool]) -> list[RecordedPurchase]:
    """
    Return the unpaid purchases of tasks that are not over.

    Other records are not read, because a page asks often and an old deployment has thousands. A record that cannot be
    read, or does not name its task, is left out.

    :param may_read: tells whether the viewer may read the tasks of a DAG.
    :raises VideoDBRecordUnreadableError: if the database fails.
    """
    stores = [_unfinished_of_variables(may_read), _unfinished_of_task_states(may_read)]
    first, second = reversed(stores) if task_state_comes_first() else stores
    found = []
    for task, (state, text) in {**second, **first}.items():
        purchase = _readable(text)
        if purchase is not None and purchase.has_effect and not purchase.paid:
            found.append(RecordedPurchase(task=task, purchase=purchase, state=state))
    return found


def read_claims(checkout_ids: Iterable[str]) -> dict[str, TaskName | None]:
    """
    Return the task that claimed each checkout.

    An unclaimed checkout is absent. If somebody has edited a claim, its task is ``None``.

    :raises VideoDBRecordUnreadableError: if the database fails.
    """
    keys = {claim_variable(one): one for one in checkout_ids}
    owners = read_variables(keys)
    return {keys[key]: TaskName.from_owner(owner) for key, owner in owners.items()}


def read_variables(keys: Iterable[str]) -> dict[str, str]:
    """
    Return the Variables that exist.

    :raises VideoDBRecordUnreadableError: if the database fails.
    """
    wanted = sorted(set(keys))
    found: dict[str, str] = {}
    with reading("read its Variables") as session:
        for start in range(0, len(wanted), _PER_QUERY):
            some = select(Variable).where(Variable.key.in_(wanted[start : start + _PER_QUERY]))
            found |= {row.key: _text(row) for row in session.scalars(some)}
    # MySQL does not tell capitals apart.
    return {key: text for key, text in found.items() if key in set(wanted)}


def _of_variables() -> dict[TaskName | str, str]:
    prefix = f"{PURCHASE}__"
    with reading(f"list its Variables {prefix!r}") as session:
        rows = session.scalars(select(Variable).where(Variable.key.startswith(prefix, autoescape=True)))
        texts = {row.key: _text(row) for row in rows}
    return {TaskName.from_variable(PURCHASE, key) or key: text for key, text in texts.items()}


def _of_task_states() -> dict[TaskName | str, str]:
    try:
        from airflow.models.task_state_store import TaskStateStoreModel as Model
    except ImportError:  # Airflow 3.2 and older
        return {}
    with reading("read its task state store") as session:
        wanted = select(Model.dag_id, Model.run_id, Model.task_id, Model.map_index, Model.value)
        return {
            TaskName(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index): value
            for dag_id, run_id, task_id, map_index, value in session.execute(wanted.where(Model.key == PURCHASE))
        }


def _unfinished_of_variables(may_read: Callable[[str], bool]) -> dict[TaskName, tuple[str, str]]:
    prefix = f"{PURCHASE}__"
    with reading(f"list its Variables {prefix!r}") as session:
        keys = list(session.scalars(select(Variable.key).where(Variable.key.startswith(prefix, autoescape=True))))
    named = {task: key for key in keys if (task := TaskName.from_variable(PURCHASE, key)) and may_read(task.dag_id)}
    states = _read_states(named, but_those_over=True)
    texts = read_variables(named[task] for task in states)
    return {task: (state, texts[named[task]]) for task, state in states.items() if named[task] in texts}


def _unfinished_of_task_states(may_read: Callable[[str], bool]) -> dict[TaskName, tuple[str, str]]:
    try:
        from airflow.models.task_state_store import TaskStateStoreModel as Model
    except ImportError:  # Airflow 3.2 and older
        return {}
    columns = ("dag_id", "run_id", "task_id", "map_index")
    same_task = and_(*(getattr(Model, name) == getattr(TaskInstance, name) for name in columns))
    wanted = select(*(getattr(Model, name) for name in columns), TaskInstance.state, Model.value)
    with reading("read its task state store") as session:
        rows = session.execute(wanted.join(TaskInstance, same_task).where(Model.key == PURCHASE, _NOT_OVER)).all()
    return {
        TaskName(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index): (_word(state), value)
        for dag_id, run_id, task_id, map_index, state, value in rows
        if may_read(dag_id)
    }


def _readable(text: str | None) -> Purchase | None:
    try:
        return contents_of(json.loads(text or ""))[0]
    except (ValueError, RecursionError, VideoDBPurchaseUnknownError):
        return None


def _read_states(names: Iterable[TaskName], *, but_those_over: bool = False) -> dict[TaskName, str]:
    wanted = set(names)
    run_ids = sorted({name.run_id for name in wanted})
    states: dict[TaskName, str] = {}
    columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    with reading("read its task instances") as session:
        for start in range(0, len(run_ids), _PER_QUERY):
            some = select(*columns, TaskInstance.state).where(
                TaskInstance.run_id.in_(run_ids[start : start + _PER_QUERY])
            )
            rows = session.execute(some.where(_NOT_OVER) if but_those_over else some)
            for dag_id, run_id, task_id, map_index, state in rows:
                name = TaskName(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
                if name in wanted:
                    states[name] = _word(state)
    return states


def _word(state: object) -> str:
    # A task instance without a state is waiting to be scheduled.
    return str(getattr(state, "value", state) or "scheduled")


def _recorded(name: TaskName | str, purchase: Purchase, states: Mapping[TaskName, str]) -> RecordedPurchase:
    task = name if isinstance(name, TaskName) else None
    return RecordedPurchase(task=task, purchase=purchase, state=None if task is None else states.get(task))


def _text(row: Variable) -> str:
    # A value that cannot be decrypted is not JSON either.
    return row.get_val() or ""  # type: ignore[no-untyped-call]  # Airflow does not type it
