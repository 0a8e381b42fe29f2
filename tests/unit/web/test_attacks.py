"""What a stranger, an odd name or a broken record can do to the page."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest

from airflow_provider_videodb.holds.journal import PREFIX
from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.compat import needs_listed_variables
from tests.support.hold_flags import raise_flag
from tests.unit.web.test_app import CHECKOUT_TRIGGER, account, checkout_arguments, shown  # noqa: F401 - a fixture

STATIC_PATHS = (
    "/static/../app.py",
    "/static/..%2fapp.py",
    "/static/%2e%2e/app.py",
    "/static/..%5capp.py",
    "/static//etc/passwd",
    "/static/%00",
    "/static/",
)


@pytest.mark.parametrize("path", STATIC_PATHS)
def test_files_outside_the_folder_are_not_served(client, path):
    response = client(None).get(path)
    assert response.status_code == 404
    assert "FastAPI" not in response.text


@pytest.mark.parametrize("conn_id", ["..", "a%2F..%2Fb", "%00", "%F0%9F%8E%AC", "a" * 3000])
def test_odd_connection_id_shows_no_connection(client, account, conn_id):  # noqa: F811
    response = client("op").get(f"/api/connections/{conn_id}")
    assert response.status_code in {200, 404}
    assert "sk-" not in response.text
    if response.status_code == 200:
        assert response.json().get("problem") or "connections" in response.json()


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD"])
def test_other_origins_are_not_invited(client, account, method):  # noqa: F811
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    response = client("op").request(method, "/api/connections/videodb_default", headers=headers)
    assert response.status_code == 405
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_link_of_a_script_is_not_sent(client, account, deferred_task):  # noqa: F811
    kwargs = checkout_arguments()
    kwargs["purchase"]["payment_url"] = "javascript:alert(1)"
    deferred_task("nightly", CHECKOUT_TRIGGER, kwargs)
    page = shown(client)
    assert page["tasks"]["value"]["tasks"][0]["todo"] == "open_task"
    assert "javascript:" not in json.dumps(page)


def test_three_hundred_waiting_tasks_are_counted(client, account, deferred_task):  # noqa: F811
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    deferred_task("nightly", CHECKOUT_TRIGGER, checkout_arguments())
    with create_session() as session:
        found = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == "nightly")).all()
        first = max(found, key=lambda ti: ti.start_date)
        assert session.scalars(select(DagRun).where(DagRun.run_id == first.run_id)).one()
        table = TaskInstance.__table__
        row = dict(session.execute(select(table).where(table.c.id == first.id)).mappings().one())
        for number in range(299):
            trigger = Trigger(classpath=CHECKOUT_TRIGGER, kwargs=checkout_arguments())
            session.add(trigger)
            session.flush()
            new_id = uuid4()
            changed = {
                "id": new_id if isinstance(first.id, UUID) else str(new_id),
                "map_index": number,
                "trigger_id": trigger.id,
            }
            session.execute(table.insert().values(row | changed))
    tasks = shown(client)["tasks"]["value"]
    assert (len(tasks["tasks"]), tasks["more"]) == (200, 100)


@needs_listed_variables
def test_two_connections_of_an_account_show_the_same_holds(client, account, stored_connection):  # noqa: F811
    stored_connection(
        "videodb_second",
        conn_type="videodb",
        host=account.base_url,
        password=account.api_key,
        extra={"credit_account": "videodb_default"},
    )
    raise_flag(Kind.HELD, "2", dag_id="nightly", ago=60_000)
    pages = [shown(client, conn_id) for conn_id in ("videodb_default", "videodb_second")]
    assert [page["account"] for page in pages] == ["videodb_default"] * 2
    assert [page["holds"]["value"]["held_credits"] for page in pages] == [2, 2]


@needs_listed_variables
def test_broken_and_huge_journal_stays_readable(client, account):  # noqa: F811
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    half = {"format": 1, "credits": 1, "dag_id": "a", "run_id": "\ud800", "task_id": {"a": 1}, "released_by": "\ud800"}
    texts = ["", "[]", "x" * 100_000, json.dumps(half), *['{"format": 1, "credits": 1}'] * 200]
    keys = [f"{PREFIX}videodb_default/{1_700_000_000_000 + n}/0123456789abcdef.-1/try" for n in range(len(texts))]
    with create_session() as session:
        session.add_all([Variable(key=key, val=text) for key, text in zip(keys, reversed(texts), strict=True)])
    try:
        assert len(shown(client)["changes"]["value"] or []) <= 20
    finally:
        with create_session() as session:
            session.execute(delete(Variable).where(Variable.key.in_(keys)))


@pytest.mark.parametrize("extra", ["{not json", "[]", '{"timeout": "never"}'])
def test_broken_extra_says_what_to_correct(client, stored_connection, extra):
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import update

    stored_connection("videodb_broken", conn_type="videodb", password="sk-x")
    with create_session() as session:
        changed = update(Connection.__table__).where(Connection.__table__.c.conn_id == "videodb_broken")
        session.execute(changed.values(extra=extra, is_extra_encrypted=False))
    page = shown(client, "videodb_broken")
    if page["problem"] is not None:
        assert page["problem"]["next"]
    assert "videodb_broken" in client("op").get("/api/connections").json()["connections"]


def test_connection_that_may_not_be_read_hides_its_tasks(client, account, deferred_task, monkeypatch):  # noqa: F811
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    deferred_task("nightly", CHECKOUT_TRIGGER, checkout_arguments())
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_connection", lambda *_, **__: False)
    assert client("op").get("/api/connections").json() == {"connections": [], "may_read": False, "unreadable": []}
    assert client("op").get("/api/connections/videodb_default").status_code == 403
