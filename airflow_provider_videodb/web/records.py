"""Waiting tasks and connections, from Airflow's database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.models.connection import Connection
from airflow.models.hitl import HITLDetail
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from sqlalchemy import and_, func, not_, or_, select

from airflow_provider_videodb.hooks.connection import CONN_TYPE
from airflow_provider_videodb.overview.purchases import read_unpaid_purchases
from airflow_provider_videodb.purchases.rules.approval_texts import SUBJECT_END, SUBJECT_START

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_videodb.overview.recorded import RecordedPurchase

#: How many waiting tasks are read. Each is decrypted.
MOST_TASKS = 200
_TRIGGERS = "airflow_provider_videodb.triggers."


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingTask:
    """
    A task that one of our triggers waits for.

    :param since: when it was deferred.
    :param kwargs: the trigger's arguments; ``None`` if they cannot be decrypted.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    since: datetime
    kwargs: Any


def read_waiting_tasks(may_read: Callable[[str], bool]) -> tuple[list[WaitingTask], int]:
    """
    Return the waiting tasks that have waited longest.

    :param may_read: tells whether the viewer may read the tasks of a DAG.
    :return: the tasks, and how many more there are.
    """
    is_ours = Trigger.classpath.startswith(_TRIGGERS, autoescape=True)
    waiting = (TaskInstance.state == "deferred", is_ours)
    joined = TaskInstance.trigger_id == Trigger.id
    with create_session() as session:
        dags = session.scalars(select(TaskInstance.dag_id).join(Trigger, joined).where(*waiting).distinct())
        readable = TaskInstance.dag_id.in_([dag_id for dag_id in dags if may_read(dag_id)])
        count = select(func.count()).select_from(TaskInstance).join(Trigger, joined).where(*waiting, readable)
        total = session.scalar(count) or 0
        rows = session.execute(
            select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index, Trigger)
            .join(Trigger, joined)
            .where(*waiting, readable)
            .order_by(Trigger.created_date, Trigger.id)
            .limit(MOST_TASKS)
        ).all()
        tasks = [
            WaitingTask(
                dag_id=dag_id,
                run_id=run_id,
                task_id=task_id,
                map_index=map_index,
                since=trigger.created_date,
                kwargs=_kwargs(trigger),
            )
            for dag_id, run_id, task_id, map_index, trigger in rows
        ]
    return tasks, max(0, total - len(tasks))


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """
    A task that waits for an approval.

    :param subject: the title of its request in Airflow's Required Actions.
    :param gives_up: when the task stops waiting; ``None`` if Airflow does not know it.
    :param conn_id: the connection; ``None`` if Airflow does not know it.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    since: datetime
    subject: str
    gives_up: datetime | None
    conn_id: str | None


def read_questions(may_read: Callable[[str], bool]) -> list[Question]:
    """
    Return the open approval requests, the oldest first.

    A task that waits with one of our triggers may show such a request too. :func:`read_waiting_tasks` returns that
    task.

    :param may_read: tells whether the viewer may read the tasks of a DAG.
    """
    ti, fields = TaskInstance, RenderedTaskInstanceFields
    same_task = and_(
        *(getattr(fields, name) == getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index"))
    )
    is_asking = (
        ti.state.in_(["deferred", "awaiting_input"]),
        # A class that somebody derived from ours has another name.
        HITLDetail.subject.startswith(SUBJECT_START) & HITLDetail.subject.endswith(SUBJECT_END),
        HITLDetail.responded_at.is_(None),
        or_(Trigger.id.is_(None), not_(Trigger.classpath.startswith(_TRIGGERS, autoescape=True))),
    )

    def asking(*columns: Any) -> Any:
        joined = select(*columns).join(HITLDetail, HITLDetail.ti_id == ti.id)
        return joined.outerjoin(Trigger, ti.trigger_id == Trigger.id).where(*is_asking)

    names = (ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.start_date)
    with create_session() as session:
        readable = [dag_id for dag_id in session.scalars(asking(ti.dag_id).distinct()) if may_read(dag_id)]
        rows = session.execute(
            asking(*names, HITLDetail.subject, ti.trigger_timeout, fields.rendered_fields)
            .outerjoin(fields, same_task)
            .where(ti.dag_id.in_(readable))
            .order_by(ti.start_date)
            .limit(MOST_TASKS)
        ).all()
    return [
        Question(
            dag_id=dag_id,
            run_id=run_id,
            task_id=task_id,
            map_index=map_index,
            since=since,
            subject=subject,
            gives_up=gives_up,
            conn_id=(rendered or {}).get("videodb_conn_id"),
        )
        for dag_id, run_id, task_id, map_index, since, subject, gives_up, rendered in rows
        if since is not None
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnpaidPurchase:
    """
    A recorded purchase, and the connection of its task.

    :param conn_id: ``None`` if Airflow does not know it.
    """

    recorded: RecordedPurchase
    conn_id: str | None

    def is_of(self, conn_id: str, *, account: str | None) -> bool:
        """
        Say whether the task bought with this connection.

        :param account: fingerprint of the connection's account; ``None`` if it is unknown.
        """
        if self.conn_id is not None:
            return self.conn_id == conn_id
        return account is not None and self.recorded.purchase.account == account


def read_unpaid(may_read: Callable[[str], bool]) -> list[UnpaidPurchase]:
    """
    Return the unpaid purchases of tasks that are not over.

    :param may_read: tells whether the viewer may read the tasks of a DAG.
    """
    purchases = read_unpaid_purchases(may_read)
    fields = RenderedTaskInstanceFields
    names = (fields.dag_id, fields.run_id, fields.task_id, fields.map_index)
    tasks = [one.task for one in purchases if one.task is not None]
    conn_ids: dict[tuple[Any, ...], object] = {}
    with create_session() as session:
        for start in range(0, len(tasks), MOST_TASKS):
            some = tasks[start : start + MOST_TASKS]
            # The fields of other tasks in these runs can be long.
            wanted = select(*names, fields.rendered_fields).where(
                fields.run_id.in_({task.run_id for task in some}), fields.task_id.in_({task.task_id for task in some})
            )
            for *name, rendered in session.execute(wanted):
                conn_ids[tuple(name)] = (rendered or {}).get("videodb_conn_id")
    found = []
    for one in purchases:
        conn_id = None if one.task is None else conn_ids.get(tuple(one.task.to_dict().values()))
        found.append(UnpaidPurchase(recorded=one, conn_id=conn_id if isinstance(conn_id, str) else None))
    return found


def listed_connections() -> list[str]:
    """Return the connections of our type."""
    with create_session() as session:
        return list(session.scalars(select(Connection.conn_id).where(Connection.conn_type == CONN_TYPE)))


def _kwargs(trigger: Trigger) -> Any:
    try:
        return trigger.kwargs
    except Exception:  # noqa: BLE001 - a wrong Fernet key, or a class that another version of Airflow encoded
        return None
