"""Unpaid purchases on the page: links whose task does not wait now, and unknown outcomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_videodb.overview.recorded import TaskName
from airflow_provider_videodb.purchases.variables import variable_key
from tests.support.checkouts import LINK, asked, made
from tests.support.compat import needs_task_state_store
from tests.support.recorded import put_variable, record_claim, record_purchase, show_checkout
from tests.unit.web.test_app import CHECKOUT_TRIGGER, account, checkout_arguments, shown  # noqa: F401 - a fixture

ID = "0123456789abcdef"


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def newest_run(dag_id):
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = select(TaskInstance.run_id).where(TaskInstance.dag_id == dag_id)
        return session.scalars(found.order_by(TaskInstance.start_date.desc())).first()


@pytest.fixture
def bought(deferred_task):
    """Return a function that leaves a task in a state, with its record and, if known, its connection."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.utils.session import create_session
    from sqlalchemy import insert

    def buy(purchase, state, *, dag_id="nightly", conn_id="videodb_default", trigger=None, arguments=None):
        deferred_task(dag_id, trigger, arguments or {}, state=state)
        task = TaskName(dag_id=dag_id, run_id=newest_run(dag_id), task_id="top_up")
        if conn_id is not None:
            with create_session() as session:
                row = task.to_dict() | {"rendered_fields": {"videodb_conn_id": conn_id}}
                session.execute(insert(RenderedTaskInstanceFields).values(**row))
        record_purchase(purchase, task)
        return task

    return buy


def shared(**fields):
    return made(link_shared=True, posts=(ago(60),), **fields)


def unknown(**fields):
    return asked(posts=(ago(60),), **fields)


@pytest.fixture
def candidates(account):  # noqa: F811
    for name in ("cs_1", "cs_2"):
        show_checkout(account, name, amount=50, status="completed")
    return account


@pytest.mark.parametrize("state", ["queued", "running", "up_for_retry", None])
def test_link_stays_while_its_task_is_not_over(client, account, bought, state):  # noqa: F811
    task = bought(shared(), state)
    [one] = shown(client)["tasks"]["value"]["tasks"]
    assert (one["todo"], one["url"], one["run_id"]) == ("pay", LINK, task.run_id)


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
def test_link_of_a_task_that_is_over_is_not_offered(client, account, bought, state):  # noqa: F811
    bought(shared(), state)
    assert shown(client)["tasks"]["value"]["tasks"] == []


def test_task_that_waits_is_shown_once(client, account, bought):  # noqa: F811
    arguments = checkout_arguments()
    arguments["purchase"]["posts"] = [ago(60)]
    bought(shared(), "deferred", trigger=CHECKOUT_TRIGGER, arguments=arguments)
    [one] = shown(client)["tasks"]["value"]["tasks"]
    assert one["gives_up"] is not None


def test_connection_of_the_environment_appears_with_its_unpaid_purchase(client, emulator, bought, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_ELSEWHERE", emulator.connection_json)
    bought(shared(), "queued", conn_id="videodb_elsewhere")
    assert client("op").get("/api/connections").json()["connections"] == ["videodb_default", "videodb_elsewhere"]
    assert shown(client)["tasks"]["value"]["tasks"] == []
    assert len(shown(client, "videodb_elsewhere")["tasks"]["value"]["tasks"]) == 1


def test_task_that_is_over_names_no_connection(client, emulator, bought, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_ELSEWHERE", emulator.connection_json)
    bought(shared(), "success", conn_id="videodb_elsewhere")
    assert client("op").get("/api/connections").json()["connections"] == ["videodb_default"]


def test_forgotten_connection_is_told_by_its_account(client, account, bought, stored_connection):  # noqa: F811
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

    fingerprint = VideoDBBillingHook("videodb_default").settings.fingerprint
    bought(shared(account=fingerprint), "queued", conn_id=None)
    stored_connection("videodb_other", conn_type="videodb", host=account.base_url, password="sk-other")
    assert len(shown(client)["tasks"]["value"]["tasks"]) == 1
    assert shown(client, "videodb_other")["tasks"]["value"]["tasks"] == []


def test_broken_connection_still_shows_the_link(client, stored_connection, bought):
    stored_connection("videodb_broken", conn_type="videodb")
    bought(shared(), "queued", conn_id="videodb_broken")
    bought(shared(key="another-key-of-a-task"), "queued", dag_id="other", conn_id=None)
    assert len(shown(client, "videodb_broken")["tasks"]["value"]["tasks"]) == 1


def test_unknown_outcome_is_shown_with_its_candidates(client, candidates, bought):
    task = bought(unknown(), "failed")
    [one] = shown(client)["unknown"]["value"]
    assert (one["id"], one["price"], one["state"], one["resolution"]) == (ID, "50 USD", "failed", None)
    assert (one["dag_id"], one["run_id"], one["map_index"]) == ("nightly", task.run_id, -1)
    assert {each["id"] for each in one["candidates"]} == {"cs_1", "cs_2"}
    assert any("cs_2: 50 USD, completed" in line for line in one["reason"])


def test_unknown_outcome_shows_its_resolution(client, candidates, bought):
    bought(unknown(), "failed")
    put_variable(f"videodb_resolution_{ID}", "cs_1")
    [one] = shown(client)["unknown"]["value"]
    assert one["resolution"] == "cs_1"


def test_outcome_that_is_known_asks_nobody(client, candidates, bought):
    bought(unknown(), "failed")
    record_claim("cs_1", TaskName(dag_id="other", run_id="r", task_id="t"))
    assert shown(client)["unknown"]["value"] == []


@pytest.mark.parametrize("state", ["success", "skipped"])
def test_task_that_is_over_asks_nobody(client, candidates, bought, state):
    bought(unknown(), state)
    assert shown(client)["unknown"]["value"] == []


def test_unknown_outcome_is_of_one_connection(client, candidates, bought, stored_connection):
    fields = {"conn_type": "videodb", "host": candidates.base_url, "password": candidates.api_key}
    stored_connection("videodb_second", **fields)
    bought(unknown(), "failed", conn_id="videodb_second")
    assert shown(client)["unknown"]["value"] == []
    assert len(shown(client, "videodb_second")["unknown"]["value"]) == 1


def test_unreadable_list_says_that_outcomes_are_unknown(client, account, bought):  # noqa: F811
    account.add_fault("status", path="/billing/checkouts", status=500, times=None)
    bought(unknown(), "failed")
    page = shown(client)
    assert page["unknown"]["value"] is None
    assert page["unknown"]["error"]["next"] or page["unknown"]["reading"]


@pytest.mark.parametrize("denied", ["TASK_INSTANCE", "XCOM", "the DAG"])
def test_purchase_of_an_unreadable_dag_is_not_shown(client, candidates, bought, deny, denied):
    bought(unknown(), "failed", dag_id="secret")
    bought(shared(key="another-key-of-a-task"), "queued", dag_id="secret_too", conn_id="videodb_default")
    deny(denied)
    page = shown(client)
    assert (page["tasks"]["value"]["tasks"], page["unknown"]["value"]) == ([], [])
    assert "secret" not in json.dumps(page)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1, "purchase": {"generation": []}}', "[" * 100_000])
def test_unreadable_record_hides_no_other(client, account, bought, text):  # noqa: F811
    task = bought(shared(), "queued")
    broken = bought(shared(), "queued", dag_id="broken")
    rewrite(broken, text)
    put_variable("videodb_purchase__odd", text)
    [one] = shown(client)["tasks"]["value"]["tasks"]
    assert one["dag_id"] == task.dag_id


def rewrite(task, text):
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    key = variable_key("videodb_purchase", *(str(word) for word in task.to_dict().values()))
    with create_session() as session:
        session.scalars(select(Variable).where(Variable.key == key)).one().set_val(text)


@needs_task_state_store
def test_record_in_the_task_state_store_is_found(client, account, bought):  # noqa: F811
    from airflow.models.dagrun import DagRun
    from airflow.models.task_state_store import TaskStateStoreModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    task = bought(made(posts=(ago(60),)), "up_for_retry")
    record = {"format": 1, "try": "a-try", "purchase": shared().to_dict()}
    with create_session() as session:
        run = session.scalars(select(DagRun.id).where(DagRun.run_id == task.run_id)).one()
        # The Variable has an older state of the purchase, from before an upgrade of Airflow.
        values = {"dag_run_id": run, "key": "videodb_purchase", "value": json.dumps(record)}
        session.add(TaskStateStoreModel(**task.to_dict(), **values))
    [one] = shown(client)["tasks"]["value"]["tasks"]
    assert one["url"] == LINK
