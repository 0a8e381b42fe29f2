"""Each example DAG does what its docstring says, run unchanged."""

from __future__ import annotations

import importlib
import json
import threading
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from videodb import InvalidRequestError

import example_dags
from airflow_provider_videodb.exceptions import VideoDBInsufficientCreditsError
from tests.conftest import API_KEY
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import run
from tests.support.raw_server import RawServer, raw_response

pytestmark = pytest.mark.usefixtures("airflow_db")

FOLDER = Path(next(iter(example_dags.__path__)))


def example(name, dag_id=None):
    """Import an example afresh and return its DAG, or one of its DAGs."""
    module = importlib.reload(importlib.import_module(f"example_dags.{name}"))
    return getattr(module, dag_id or name)()


@pytest.fixture
def paid_soon(emulator):
    """An account whose owner pays every link after 0.5 s. Indexing a video costs 4 credits."""
    emulator.change_settings(pay_after=0.5, price_index=4)
    return emulator


@pytest.fixture
def own_holds(paid_soon, monkeypatch):
    """The same account with holds that no other test of this process has left."""
    connection = json.loads(paid_soon.connection_json)
    connection["extra"] = {"credit_account": f"test-{uuid4().hex}"}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))
    return paid_soon


def test_every_example_is_tested_here():
    tested = {
        "auto_recharge",
        "careful_index",
        "credit_gate",
        "credits_watch",
        "ensure_credits",
        "shared_account",
        "top_up_and_notify",
    }

    assert {path.stem for path in FOLDER.glob("*.py")} == tested


def test_credit_gate_tops_up_waits_and_indexes(paid_soon):
    finished = run(example("credit_gate"))

    assert finished.state == "success"
    assert finished.result("top_up")["amount"] == 20
    assert finished.result("enough_credits")["credit_balance"] == 23
    assert len(paid_soon.calls("POST", "/video/*/index", accepted=True)) == 3
    assert paid_soon.balance == 3 + 20 - 3 * 4


def test_retry_of_job_waits_for_credits_after_shortage(paid_soon):
    """One video fails for lack of credits. Its retry waits until somebody has added some."""
    dag = example("credit_gate")
    index_video = dag.get_task("index_video")
    index_video.partial_kwargs |= {"retry_delay": timedelta(0), "poke_interval": 0.2}
    paid_soon.add_fault(
        "status",
        path="/video/*/index",
        status=402,
        body={"success": False, "message": "Insufficient credits"},
        times=1,
    )
    shortages = []
    index_video.partial_kwargs["on_retry_callback"] = [
        lambda context: (shortages.append(context["exception"]), paid_soon.set_balance(3))
    ]
    waited = threading.Event()

    def add_credits_after_a_poke_without_enough():
        while not waited.wait(0.1):
            if shortages and [call.path for call in paid_soon.calls()][-2:] == ["/billing/usage"] * 2:
                paid_soon.set_balance(30)
                waited.set()

    person = threading.Thread(target=add_credits_after_a_poke_without_enough)
    person.start()
    try:
        finished = run(dag)
    finally:
        had_waited = waited.is_set()
        waited.set()
        person.join()

    assert finished.state == "success"
    assert had_waited
    (shortage,) = shortages
    assert type(shortage) is VideoDBInsufficientCreditsError
    assert "Next step: " in str(shortage)


def job_server(*states):
    """Return a VideoDB whose indexing job passes through states, one per poll."""
    pending = iter(states)

    def reply(request):
        replies = {
            "/billing/usage": {"credit_balance": 9, "usage_this_month": 0},
            "/collection/default": {"id": "default", "name": "", "description": ""},
            "/collection/default/upload": {"id": "m-1", "collection_id": "default", "length": 5400},
        }
        if request.path.startswith("/video/"):
            data = {"id": "job-1", "output_url": "https://elsewhere.example/async-response/job-1"}
            return raw_response({"success": True, "status": "processing", "request_type": "sync", "data": data})
        if request.path == "/async-response/job-1":
            return raw_response(next(pending))
        return raw_response({"success": True, "data": replies[request.path]})

    return RawServer(reply)


def run_careful_index(server, monkeypatch):
    connection = {"conn_type": "videodb", "password": API_KEY, "host": server.url}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))
    dag = example("careful_index")
    errors = []
    indexed = dag.get_task("indexed")
    indexed.poke_interval, indexed.retries = 0.2, 0
    indexed.on_failure_callback = [lambda context: errors.append(context["exception"])]
    return run(dag), errors


def test_careful_index_submits_once_and_polls_by_id(monkeypatch):
    processing, done = {"success": True, "status": "processing"}, {"success": True, "status": "done", "data": {}}
    with job_server(processing, processing, done) as server:
        finished, _ = run_careful_index(server, monkeypatch)

    assert finished.state == "success"
    assert finished.result("submit") == finished.result("indexed") == "job-1"
    assert [request.path for request in server.requests].count("/video/m-1/index") == 1
    assert [request.path for request in server.requests].count("/async-response/job-1") == 3


def test_careful_index_runs_against_the_emulator(paid_soon):
    paid_soon.set_balance(9)

    finished = run(example("careful_index"))

    assert finished.state == "success"
    assert len(paid_soon.calls("POST", "/video/*/index", accepted=True)) == 1
    assert paid_soon.calls("GET", f"/async-response/{finished.result('submit')}")
    assert paid_soon.balance == 9 - 4


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ({"success": False, "status": "failed", "message": "Insufficient credits"}, VideoDBInsufficientCreditsError),
        ({"success": False, "status": "failed", "message": "no speech found"}, InvalidRequestError),
        ({"success": True, "status": "paused"}, InvalidRequestError),
    ],
)
def test_careful_index_fails_with_job(monkeypatch, job, error):
    with job_server(job) as server:
        finished, errors = run_careful_index(server, monkeypatch)

    assert finished.task_state("indexed") == "failed"
    assert [type(one) for one in errors] == [error]


def test_notifier_gets_the_link_once(paid_soon, caplog, capfd):
    finished = run(example("top_up_and_notify"))

    assert finished.state == "success"
    (checkout,) = paid_soon.checkouts()
    output = capfd.readouterr().out + caplog.text
    link = paid_soon.payment_url(checkout.id)
    assert f"Please pay for the credits of top_up_and_notify: {link}" in output
    assert finished.result("report") == "Paid 50 USD: the balance was 3 and is 53 credits."


def test_auto_recharge_is_on_during_the_job_and_restored(paid_soon):
    paid_soon.set_auto_recharge(enabled=False, threshold=7, amount=30)
    paid_soon.set_balance(21)

    finished = run(example("auto_recharge"))

    assert finished.state == "success"
    assert finished.result("recharge_on")["after"] == {"enabled": True, "threshold": 20, "amount": 100}
    # Indexing took the balance below 20, so VideoDB recharged the account.
    assert paid_soon.balance == 21 - 4 + 100
    after = paid_soon.auto_recharge
    assert (after.enabled, after.threshold, after.amount) == (False, 7, 30)


def test_auto_recharge_is_restored_after_a_failed_job(paid_soon):
    paid_soon.set_auto_recharge(enabled=False, threshold=7, amount=30)
    paid_soon.add_fault("status", path="/collection/*", status=400, times=None)

    finished = run(example("auto_recharge"))

    assert finished.task_state("index_videos") == "failed"
    assert finished.task_state("recharge_back") == "success"
    assert not paid_soon.auto_recharge.enabled
    assert paid_soon.auto_recharge.threshold == 7


def test_ensure_credits_buys_what_is_missing(paid_soon):
    finished = run(example("ensure_credits"))

    assert finished.state == "success"
    assert finished.result("ensure_credits")["amount"] == 117
    assert finished.result("ensure_credits")["balance_after"] == 120


def test_ensure_credits_buys_for_ten_dollars_or_more(paid_soon):
    paid_soon.set_balance(119)

    finished = run(example("ensure_credits"))

    assert finished.result("ensure_credits")["amount"] == 10


def test_ensure_credits_continues_with_enough_credits(paid_soon):
    paid_soon.set_balance(120)

    finished = run(example("ensure_credits"))

    assert finished.result("ensure_credits")["status"] == "not_needed"
    assert paid_soon.calls("POST") == []


def test_credits_watch_fills_the_account_once(paid_soon, caplog, capfd):
    """A second event, such as a low after a warning, finds the account filled."""
    watch = example("credits_watch")
    first, second = run(watch), run(watch)

    assert (first.state, second.state) == ("success", "success")
    assert first.result("fill_up")["amount"] == 500 - 3
    assert second.result("fill_up")["status"] == "not_needed"
    (checkout,) = paid_soon.checkouts()
    assert f"Please pay: {paid_soon.payment_url(checkout.id)}" in capfd.readouterr().out + caplog.text


def test_credits_watch_begins_when_a_person_unpauses_it():
    assert example("credits_watch").is_paused_upon_creation
    assert example("credits_watch", "credits_are_back").is_paused_upon_creation


@needs_listed_variables
def test_pipelines_of_one_account_buy_their_own_credits(own_holds):
    """The second pipeline needs 8 credits, and asks for a payment although the account has 12."""
    archive = run(example("shared_account", "shared_archive"))
    highlights = run(example("shared_account", "shared_highlights"))

    assert (archive.state, highlights.state) == ("success", "success")
    assert archive.result("credits")["amount"] == 12 - 3
    assert archive.result("credits")["held"] == 12
    # The first pipeline has used 10 of its 12 credits, and they settle.
    assert highlights.result("credits")["balance_before"] == 12
    assert highlights.result("credits")["amount"] == 8 - (12 - 10)


@needs_listed_variables
def test_failed_pipeline_keeps_all_its_credits_during_settlement(own_holds):
    archive = example("shared_account", "shared_archive")
    archive.get_task("index").python_callable = fail
    failed = run(archive)

    highlights = run(example("shared_account", "shared_highlights"))

    assert failed.state == "failed"
    assert failed.task_state("credits_release") == "success"
    assert highlights.result("credits")["amount"] == 8


@needs_listed_variables
def test_job_of_shared_account_needs_its_hold(own_holds):
    archive = example("shared_account", "shared_archive")
    archive.get_task("credits").hold = False

    finished = run(archive)

    assert finished.task_state("upload") == "failed"
    assert finished.task_state("credits_release") == "success"


def fail():
    raise RuntimeError("the job failed")
