"""The application of the page, with Airflow's own auth manager."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USERS = ("admin", "op", "user", "viewer")


@pytest.fixture(scope="session")
def tokens(airflow_db: None) -> dict[str, str]:
    """Return a token for each role."""
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    manager: Any = init_auth_manager()
    return {name: manager.generate_jwt(SimpleAuthManagerUser(username=name, role=name)) for name in USERS}


@pytest.fixture
def client(tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], Any]:
    """Return a function that opens the application as a user, or as nobody."""
    from fastapi.testclient import TestClient

    from airflow_provider_videodb.web.app import create_app

    # The API server sets it, so that it reads connections from its database.
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    app = create_app()

    def open_as(user: str | None) -> Any:
        headers = {} if user is None else {"Authorization": f"Bearer {tokens[user]}"}
        return TestClient(app, headers=headers)

    return open_as


@pytest.fixture
def deny(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that denies every viewer a part of a DAG, or the DAG."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def deny_part(denied: str) -> None:
        if denied == "the DAG":
            monkeypatch.setattr(SimpleAuthManager, "get_authorized_dag_ids", lambda *_, **__: {"another"})
            return

        def is_authorized(*_: Any, access_entity: Any = None, **__: Any) -> bool:
            return getattr(access_entity, "name", None) != denied

        monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", is_authorized)

    return deny_part


@pytest.fixture
def stored_connection(airflow_db: None) -> Iterator[Callable[..., None]]:
    """Return a function that stores a connection in Airflow's database."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    stored: list[str] = []

    def store(conn_id: str, **fields: Any) -> None:
        extra = fields.pop("extra", None)
        with create_session() as session:
            session.add(Connection(conn_id=conn_id, extra=json.dumps(extra) if extra else None, **fields))
        stored.append(conn_id)

    yield store
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id.in_(stored)))


@pytest.fixture
def deferred_task(airflow_db: None) -> Iterator[Callable[..., None]]:
    """Return a function that lets a finished task of a new DAG wait for a trigger."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.utils.session import create_session
    from sqlalchemy import delete, insert, select, update

    from tests.support.dag_runs import new_dag, run

    def defer(
        dag_id: str, trigger: str | None, kwargs: dict[str, Any], *, asks: tuple[str, str] | None = None, **values: Any
    ) -> None:
        with new_dag(dag_id) as dag:
            EmptyOperator(task_id="top_up")
        finished = run(dag)
        with create_session() as session:
            if trigger is not None:
                row = Trigger(classpath=trigger, kwargs=kwargs)
                session.add(row)
                session.flush()
                values |= {"trigger_id": row.id}
            values = {"state": "deferred"} | values
            own = TaskInstance.run_id == finished.dag_run.run_id
            session.execute(update(TaskInstance).where(own).values(**values))
            if asks is not None:
                conn_id, subject = asks
                [ti_id] = session.scalars(select(TaskInstance.id).where(own))
                session.add(HITLDetail(ti_id=ti_id, subject=subject, options=["Approve", "Refuse"]))
                fields = {"run_id": finished.dag_run.run_id, "task_id": "top_up", "map_index": -1}
                rendered = {"rendered_fields": {"videodb_conn_id": conn_id}}
                session.execute(insert(RenderedTaskInstanceFields).values(dag_id=dag_id, **fields, **rendered))

    yield defer
    with create_session() as session:
        session.execute(update(TaskInstance).values(state="success", trigger_id=None))
        session.execute(delete(HITLDetail))
        session.execute(delete(RenderedTaskInstanceFields))
