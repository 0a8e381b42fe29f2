"""Who gets what of the page, over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_provider_videodb.holds.rules.records import Kind
from tests.conftest import API_KEY
from tests.support.compat import needs_listed_variables
from tests.support.hold_flags import raise_flag

COMPAT = Path(__file__).parents[2] / "compat" / "triggers"
CHECKOUT_TRIGGER = "airflow_provider_videodb.triggers.checkout.CheckoutTrigger"


def checkout_arguments(**changes):
    return json.loads((COMPAT / "checkout.json").read_text())["kwargs"] | changes


@pytest.fixture
def account(emulator, stored_connection, monkeypatch):
    """Store the connection of the emulator, so that Airflow can list it."""
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
    fields = emulator.connection
    stored_connection(
        "videodb_default",
        conn_type="videodb",
        host=fields["host"],
        password=fields["password"],
        extra={"monthly_topup_limit": 100, "max_topup_amount": 40, "credit_reserve": 1},
    )
    return emulator


def shown(client, conn_id="videodb_default", user="op"):
    response = client(user).get(f"/api/connections/{conn_id}")
    assert response.status_code == 200
    return response.json()


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("viewer", 403), ("user", 403), ("op", 200), ("admin", 200)])
def test_connection_is_shown_to_those_who_may_read_it(client, account, user, status):
    assert client(user).get("/api/connections/videodb_default").status_code == status


@pytest.mark.parametrize("user", ["viewer", "user"])
def test_viewer_without_rights_learns_no_connection(client, account, user):
    assert client(user).get("/api/connections").json() == {"connections": [], "may_read": False, "unreadable": []}


def test_anonymous_visitor_gets_no_list(client, account):
    assert client(None).get("/api/connections").status_code == 401


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_nothing_describes_the_application(client, path):
    assert client("admin").get(path).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_changes_state(client, account, method):
    for path in ("/api/connections", "/api/connections/videodb_default", "/paid"):
        assert getattr(client("admin"), method)(path).status_code == 405


def test_list_names_connections_of_the_database_and_the_default_of_the_environment(client, emulator, stored_connection):
    stored_connection("videodb_archive", conn_type="videodb", password="x")
    stored_connection("other", conn_type="http")
    assert client("op").get("/api/connections").json() == {
        "connections": ["videodb_archive", "videodb_default"],
        "may_read": True,
        "unreadable": [],
    }


def test_reader_without_a_connection_is_told_so(client):
    assert client("op").get("/api/connections").json() == {"connections": [], "may_read": True, "unreadable": []}


def test_figures_are_those_of_videodb(client, account):
    account.set_balance(120)
    page = shown(client)
    assert page["usage"]["value"] == {
        "balance": 120,
        "reserve": 1,
        "available": 119,
        "used_credits": 0,
        "by_kind": [],
    }
    assert page["usage"]["age"] < 5
    assert page["month"]["value"]["left_usd"] == 100
    assert page["month"]["value"]["largest_purchase_usd"] == 40
    assert page["invoices"]["value"] == []
    assert page["auto_recharge"]["value"]["enabled"] is False


def test_key_is_in_no_response(client, account, stored_connection):
    stored_connection(
        "videodb_odd", conn_type="videodb", password=API_KEY, host=account.base_url, extra={"oops": API_KEY}
    )
    stored_connection("videodb_key_as_host", conn_type="videodb", password=API_KEY, host=API_KEY)
    for conn_id in ("videodb_default", "videodb_odd", "videodb_key_as_host"):
        text = client("admin").get(f"/api/connections/{conn_id}").text
        assert API_KEY not in text
        assert API_KEY.removeprefix("sk-") not in text


def test_responses_are_not_kept_by_browsers(client, account):
    for path in ("/api/connections", "/api/connections/videodb_default"):
        assert client("op").get(path).headers["Cache-Control"] == "no-store"
    assert client(None).get("/static/credits.js").headers["Cache-Control"] == "no-cache"


def test_waiting_task_is_shown_with_its_link(client, account, deferred_task):
    arguments = checkout_arguments()
    arguments["purchase"]["posts"] = [datetime.now(UTC).isoformat()]
    deferred_task("nightly", CHECKOUT_TRIGGER, arguments)
    [task] = shown(client)["tasks"]["value"]["tasks"]
    assert (task["dag_id"], task["task_id"], task["map_index"]) == ("nightly", "top_up", -1)
    assert (task["todo"], task["url"]) == ("pay", arguments["purchase"]["payment_url"])
    assert client("op").get("/api/connections").json()["connections"] == ["videodb_default"]


def test_connection_of_the_environment_is_found_through_its_task(client, emulator, deferred_task, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_ELSEWHERE", emulator.connection_json)
    deferred_task("nightly", CHECKOUT_TRIGGER, checkout_arguments(videodb_conn_id="videodb_elsewhere"))
    assert client("op").get("/api/connections").json()["connections"] == ["videodb_default", "videodb_elsewhere"]
    assert shown(client)["tasks"]["value"]["tasks"] == []
    assert len(shown(client, "videodb_elsewhere")["tasks"]["value"]["tasks"]) == 1


@pytest.mark.parametrize("denied", ["TASK_INSTANCE", "XCOM", "the DAG"])
def test_task_of_an_unreadable_dag_is_not_shown(client, account, deferred_task, deny, denied):
    deferred_task("secret", CHECKOUT_TRIGGER, checkout_arguments())
    # The link is an XCom of the task.
    deny(denied)
    page = shown(client)
    assert page["tasks"]["value"] == {"tasks": [], "more": 0}
    assert "secret" not in json.dumps(page)


def test_trigger_that_cannot_be_decrypted_is_shown_without_connection(client, account, deferred_task, monkeypatch):
    from airflow.models.trigger import Trigger

    deferred_task("nightly", CHECKOUT_TRIGGER, checkout_arguments())

    def fails(_):
        raise ValueError("wrong key")

    monkeypatch.setattr(Trigger, "kwargs", property(fails))
    assert shown(client)["tasks"]["value"]["tasks"] == []
    [task] = client("op").get("/api/connections").json()["unreadable"]
    assert (task["dag_id"], task["task_id"]) == ("nightly", "top_up")
    assert client("viewer").get("/api/connections").json()["unreadable"] == []


@needs_listed_variables
def test_holds_name_readable_dags_only(client, account, deferred_task):
    account.set_balance(100)
    deferred_task("nightly", CHECKOUT_TRIGGER, checkout_arguments())
    raise_flag(Kind.HELD, "60", dag_id="nightly", ago=120_000)
    raise_flag(Kind.HELD, "5", dag_id="not_here", ago=60_000)
    raise_flag(Kind.WAITING, "80", dag_id="nightly", run_id="later", ago=60_000)
    page = shown(client)
    holds = page["holds"]["value"]
    assert [(one["dag_id"], one["credits"]) for one in holds["holds"]] == [("nightly", 60), (None, 5)]
    assert page["usage"]["value"]["available"] == 34
    assert holds["queue"][0]["reason"].startswith("Waiting: 80 credits needed, 34 available")
    assert "not_here" not in json.dumps(page)


def test_refused_key_fails_each_part_and_says_what_to_do(client, account, stored_connection):
    stored_connection("videodb_wrong", conn_type="videodb", host=account.base_url, password="sk-wrong")
    page = shown(client, "videodb_wrong")
    for part in ("usage", "month", "invoices", "auto_recharge"):
        assert page[part]["value"] is None
        assert page[part]["error"]["next"] == "Put a valid API key into the connection's password."
    assert page["holds"]["error"] is None
    assert page["tasks"]["error"] is None


def test_broken_connection_says_what_to_correct(client, stored_connection):
    stored_connection("videodb_broken", conn_type="videodb")
    page = shown(client, "videodb_broken")
    assert page["problem"]["what"].startswith("Connection 'videodb_broken' has no password.")
    assert page["problem"]["next"].startswith("Enter VideoDB's API key")


def test_secrets_backend_that_fails_is_not_quoted(client, monkeypatch, caplog):
    from airflow_provider_videodb.hooks.videodb import VideoDBHook

    def fails(*_):
        raise OSError("vault token 1234")

    monkeypatch.setattr(VideoDBHook, "get_connection", fails)
    page = shown(client, "videodb_default")
    assert page["problem"] == {
        "what": "Airflow could not read this part (OSError).",
        "next": "Look for the error in the log of the API server.",
    }
    assert "A part of the credits page failed." in caplog.text
    assert "vault token 1234" in caplog.text
    assert client("op").get("/api/connections").json()["connections"] == ["videodb_default"]


def test_page_for_payers_is_public_and_has_no_script(client):
    response = client(None).get("/paid", params={"session_id": "<script>"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "The pipeline continues as soon as VideoDB reports the payment." in response.text
    assert "script" not in response.text
