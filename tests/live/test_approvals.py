"""A person approves or refuses a purchase in Airflow's UI, in Chromium."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS
from dev.airflow.api import FINISHED, AirflowApiError
from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import until
from dev.demo.browser import show_approval, wait_for_animations
from dev.demo.payer import pay
from tests.live.conftest import LIVE_DAGS, keep_picture, needs_chromium
from tests.support.compat import needs_listed_variables, needs_responses_that_resume

WAITING = ("awaiting_input",) if RESPONSES_RESUME_TASKS else ("deferred",)


def request_path(run, task_id):
    return f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/-1/hitlDetails"


def respond(run, task_id, option):
    """Choose an option, as the button does."""
    run.api.request("PATCH", request_path(run, task_id), json={"chosen_options": [option], "params_input": {}})


def responded_at(run, task_id):
    return run.api.request("GET", request_path(run, task_id))["responded_at"]


def link_of(run, task_id):
    """Return the payment link, if there is one. Airflow deletes a try's XComs when the next try begins."""
    try:
        return run.xcom(task_id, "payment_url")
    except AirflowApiError as err:
        if "404" not in str(err):
            raise
        return None


def started(airflow, dag_id, task_id, *states):
    """Start a run, and wait until it asks."""
    airflow.api.wait_for_dag(dag_id)
    run = airflow.api.trigger(dag_id)
    run.wait_for_task(task_id, *(states or WAITING))
    wait_for_end_of_worker(airflow, run)
    return run


def wait_for_end_of_worker(airflow, run, *, count=1):
    """
    Wait until the scheduler knows that the worker has ended.

    Airflow fails a task that a response resumes before that. No person is as fast.
    """

    def is_known():
        lines = (airflow.logs / "scheduler.log").read_text().splitlines()
        return len([line for line in lines if "Received executor event" in line and run.run_id in line]) >= count

    until(is_known, timeout=60, what="the scheduler to know that the worker has ended")


def paid(emulator):
    return [checkout.amount for checkout in emulator.checkouts() if checkout.status == "completed"]


def show_request(page, live_airflow, run, task_id, name):
    """Open the request as a person does, and keep what a desk and a phone show."""
    show_approval(page, live_airflow, run, task_id)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for_animations(page)
        keep_picture(page, f"{name}-{width}")


@needs_chromium
def test_person_approves_before_anything_is_bought(live_airflow, emulator, page):
    run = started(live_airflow, "live_approval", "credits")
    assert emulator.calls("POST") == []

    show_request(page, live_airflow, run, "credits", "approval")
    body = page.locator("body").inner_text()
    assert "53 credits are needed. 3 are available, so 50 are missing." in body
    assert "DAG live_approval, run" in body
    page.get_by_role("button", name="Approve 50 USD", exact=True).click()
    [checkout] = until(emulator.checkouts, timeout=60, what="the checkout")
    assert checkout.amount == 50

    pay(until(lambda: link_of(run, "credits"), timeout=60, what="the link"))
    assert run.wait() == "success"
    assert len(emulator.checkouts()) == 1


@needs_chromium
def test_person_refuses(live_airflow, emulator, page):
    run = started(live_airflow, "live_approval", "credits")
    show_request(page, live_airflow, run, "credits", "approval-refused")
    page.get_by_role("button", name="Refuse", exact=True).click()

    assert run.wait() == "failed"
    assert run.task("credits")["try_number"] == 1
    assert "refused to buy credits for 50 USD" in str(run.log("credits"))
    assert emulator.calls("POST") == []


def test_nobody_in_time_buys_nothing(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_approval_timeout")
    run = live_airflow.api.trigger("live_approval_timeout")

    assert run.wait() == "failed"
    assert "Nobody approved 50 USD" in str(run.log("top_up"))
    assert emulator.calls("POST") == []


@needs_listed_variables
def test_gate_in_the_queue_opens_when_the_credits_come(live_airflow, emulator, no_holds):
    run = started(live_airflow, "live_approval_with_hold", "credits", "deferred")
    emulator.set_balance(60)

    assert run.wait() == "success"
    assert run.xcom("credits")["status"] == "filled"
    assert emulator.calls("POST") == []


@needs_listed_variables
def test_gate_in_the_queue_buys_after_the_approval(live_airflow, emulator, no_holds):
    run = started(live_airflow, "live_approval_with_hold", "credits", "deferred")
    assert emulator.calls("POST") == []
    respond(run, "credits", "Approve 50 USD")
    until(emulator.checkouts, timeout=60, what="the checkout")

    pay(emulator.payment_url(emulator.checkouts()[0].id))
    assert run.wait() == "success"


@pytest.mark.parametrize(
    ("fault", "checkouts"),
    [
        # Killed after the approval, before the POST.
        ({"method": "GET", "path": "/billing/checkouts"}, 1),
        # Killed after VideoDB made a checkout. Nobody gets the link of that one.
        ({"method": "POST", "path": "/billing/topup", "work": True}, 2),
    ],
    ids=["before the POST", "after the POST"],
)
def test_kill_after_the_approval_asks_once_and_buys_once(live_airflow, emulator, fault, checkouts):
    run = started(live_airflow, "live_approval", "credits")
    before = len(emulator.calls(fault["method"], fault["path"]))
    hang = emulator.add_fault("hang", times=1, **fault)
    respond(run, "credits", "Approve 50 USD")
    response = responded_at(run, "credits")
    emulator.wait_for_calls(before + 1, fault["method"], fault["path"], timeout=60)
    os.kill(run.task("credits")["pid"], signal.SIGKILL)
    run.wait_for_task("credits", "up_for_retry", "queued", timeout=60)
    emulator.remove_fault(hang.id)

    link = until(lambda: link_of(run, "credits"), timeout=120, what="the link of the retry")
    # Airflow would have removed the response if the task had asked again.
    assert responded_at(run, "credits") == response
    assert [checkout.amount for checkout in emulator.checkouts()] == [50] * checkouts
    pay(link)
    assert run.wait() == "success"
    assert paid(emulator) == [50]


def test_kill_before_the_approval_is_recorded_asks_once(live_airflow, emulator):
    run = started(live_airflow, "live_approval", "credits")
    respond(run, "credits", "Approve 50 USD")
    response = responded_at(run, "credits")
    until(lambda: run.task("credits")["state"] == "running", timeout=60, interval=0.05, what="the worker")
    # A worker needs seconds to import Airflow.
    os.kill(run.task("credits")["pid"], signal.SIGKILL)

    link = until(lambda: link_of(run, "credits"), timeout=120, what="the link of the retry")
    assert responded_at(run, "credits") == response
    pay(link)
    assert run.wait() == "success"
    assert paid(emulator) == [50]
    assert len(emulator.checkouts()) == 1


@needs_responses_that_resume
def test_only_the_first_offered_response_counts(live_airflow, emulator):
    run = started(live_airflow, "live_approval", "credits")
    for option in ("Approve 5000 USD", "approve 50 usd", "Cancel"):
        with pytest.raises(AirflowApiError, match="400"):
            respond(run, "credits", option)
    assert run.task("credits")["state"] == "awaiting_input"

    respond(run, "credits", "Refuse")
    with pytest.raises(AirflowApiError, match="409"):
        respond(run, "credits", "Approve 50 USD")
    assert run.wait() == "failed"
    assert emulator.calls("POST") == []


def test_clear_while_a_person_is_asked_keeps_the_request(live_airflow, emulator):
    run = started(live_airflow, "live_approval", "credits")
    run.clear("credits")
    until(
        lambda: run.task("credits")["state"] == "deferred" and run.task("credits")["try_number"] == 2,
        timeout=60,
        what="the cleared task to ask",
    )
    wait_for_end_of_worker(live_airflow, run, count=2)
    respond(run, "credits", "Approve 50 USD")

    pay(until(lambda: link_of(run, "credits"), timeout=60, what="the link"))
    assert run.wait() == "success"
    assert paid(emulator) == [50]


def test_approval_of_a_task_marked_success_buys_nothing(live_airflow, emulator):
    run = started(live_airflow, "live_approval", "credits")
    run.set_task_state("credits", "success")
    respond(run, "credits", "Approve 50 USD")

    assert run.wait() == "success"
    assert run.task("credits")["state"] == "success"
    assert emulator.calls("POST") == []


def test_approval_after_the_time_buys_nothing(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_approval_timeout")
    run = live_airflow.api.trigger("live_approval_timeout")
    assert run.wait() == "failed"
    respond(run, "top_up", "Approve 50 USD")

    # The cleared task asks again, and the late response is gone.
    run.clear("top_up")
    until(lambda: run.state() not in FINISHED, timeout=30, what="the clear")
    assert run.wait() == "failed"
    assert responded_at(run, "top_up") is None
    assert emulator.calls("POST") == []


@pytest.fixture(scope="module")
def users_airflow(shared_emulator, tmp_path_factory):
    """Run a second Airflow, whose users have roles."""
    home = tmp_path_factory.mktemp("approvers")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(LIVE_DAGS / "live_approvals.py", dags)
    connections = {"videodb_default": shared_emulator.connection}
    users = {"admin": "admin", "op": "op", "other": "op", "viewer": "viewer"}
    with AirflowInstance(home, dags_folder=dags, connections=connections, users=users) as airflow:
        yield airflow


def test_only_an_approver_can_respond(users_airflow, emulator):
    run = started(users_airflow, "live_approvers", "top_up")
    for user in ("viewer", "other", "admin"):
        users_airflow.api.log_in(user)
        for option in ("Approve 50 USD", "Refuse"):
            with pytest.raises(AirflowApiError, match="403"):
                respond(run, "top_up", option)
    assert responded_at(run, "top_up") is None
    assert emulator.calls("POST") == []

    users_airflow.api.log_in("op")
    respond(run, "top_up", "Approve 50 USD")
    users_airflow.api.log_in("admin")
    pay(until(lambda: link_of(run, "top_up"), timeout=60, what="the link"))
    assert run.wait() == "success"
    assert any("op approved 50 USD." in line["event"] for line in run.log("top_up"))
