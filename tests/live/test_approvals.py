"""A person approves or refuses a purchase in Airflow's UI, in Chromium."""

from __future__ import annotations

import pytest

from dev.airflow.processes import until
from dev.demo.browser import find_chromium, log_in, open_page, wait_for_animations
from dev.demo.payer import pay
from tests.live.conftest import keep_picture

CHROMIUM = find_chromium()
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine; CI installs one")


@pytest.fixture
def page():
    with open_page(CHROMIUM) as page:
        page.set_viewport_size({"width": 1280, "height": 900})
        yield page


def respond(run, task_id, option):
    """Choose an option, as the button does."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/-1/hitlDetails"
    run.api.request("PATCH", path, json={"chosen_options": [option], "params_input": {}})


def show_request(page, live_airflow, run, task_id, name):
    """Open the request as a person does, and keep what a desk and a phone show."""
    log_in(page, live_airflow)
    page.goto(f"{live_airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{task_id}/required_actions")
    page.get_by_role("button", name="Approve 50 USD").wait_for()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for_animations(page)
        keep_picture(page, f"{name}-{width}")


@needs_chromium
def test_person_approves_before_anything_is_bought(live_airflow, emulator, page):
    live_airflow.api.wait_for_dag("live_approval")
    run = live_airflow.api.trigger("live_approval")
    run.wait_for_task("credits", "awaiting_input")
    assert emulator.calls("POST") == []

    show_request(page, live_airflow, run, "credits", "approval")
    body = page.locator("body").inner_text()
    assert "53 credits are needed. 3 are available, so 50 are missing." in body
    assert "DAG live_approval, run" in body
    page.get_by_role("button", name="Approve 50 USD").click()
    run.wait_for_task("credits", "deferred", timeout=60)
    [checkout] = emulator.checkouts()
    assert checkout.amount == 50

    pay(run.xcom("credits", "payment_url"))
    assert run.wait() == "success"
    assert len(emulator.checkouts()) == 1


@needs_chromium
def test_person_refuses(live_airflow, emulator, page):
    live_airflow.api.wait_for_dag("live_approval")
    run = live_airflow.api.trigger("live_approval")
    run.wait_for_task("credits", "awaiting_input")
    show_request(page, live_airflow, run, "credits", "approval-refused")
    page.get_by_role("button", name="Refuse").click()

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


def test_gate_in_the_queue_opens_when_the_credits_come(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_approval_with_hold")
    run = live_airflow.api.trigger("live_approval_with_hold")
    run.wait_for_task("credits", "deferred")
    emulator.set_balance(60)

    assert run.wait() == "success"
    assert run.xcom("credits")["status"] == "filled"
    assert emulator.calls("POST") == []


def test_gate_in_the_queue_buys_after_the_approval(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_approval_with_hold")
    run = live_airflow.api.trigger("live_approval_with_hold")
    run.wait_for_task("credits", "deferred")
    assert emulator.calls("POST") == []
    respond(run, "credits", "Approve 50 USD")
    until(emulator.checkouts, timeout=60, what="the checkout")

    pay(emulator.payment_url(emulator.checkouts()[0].id))
    assert run.wait() == "success"
