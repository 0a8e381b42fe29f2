"""A waiting payment in Airflow's Required Actions, in Chromium."""

from __future__ import annotations

import os
import signal

from dev.airflow.processes import until
from dev.demo.browser import (
    log_in,
    read_log_page,
    show_required_action,
    wait_for_animations,
)
from dev.demo.payer import pay
from tests.live.conftest import keep_picture, needs_chromium
from tests.support.compat import LINKS_OPEN_A_TAB, needs_responses_that_resume
from tests.support.troubleshooting import entries_for


def actions_of(run):
    """Return the requests of a run."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/hitlDetails"
    return run.api.request("GET", path)["hitl_details"]


def pending_in(run):
    """Return the requests that Airflow's page counts as pending."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/hitlDetails"
    return run.api.request("GET", path, params={"response_received": False, "state": "deferred"})["hitl_details"]


def cancel(run, task_id, *, map_index=-1):
    """Choose the option Cancel, as the button does."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/{map_index}/hitlDetails"
    run.api.request("PATCH", path, json={"chosen_options": ["Cancel"], "params_input": {}})


def errors_in(run, task_id, *, try_number=1):
    """Return the error lines of a log as one text."""
    return " ".join(line["event"] for line in run.log(task_id, try_number=try_number) if line.get("level") == "error")


def pictures(page, name):
    """Keep what a desk and a phone show."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        wait_for_animations(page)
        keep_picture(page, f"{name}-{width}")
    page.set_viewport_size({"width": 1280, "height": 900})


def open_checkout(page, link):
    """Follow the payment link."""
    if not LINKS_OPEN_A_TAB:
        link.click()
        page.get_by_role("button", name="Pay").wait_for()
        return
    with page.expect_popup() as opened:
        link.click()
    opened.value.get_by_role("button", name="Pay").wait_for()
    opened.value.close()


@needs_chromium
def test_person_sees_the_payment_and_cancels_it(live_airflow, emulator, page):
    live_airflow.api.wait_for_dag("live_asks_for_credits")
    run = live_airflow.api.trigger("live_asks_for_credits")
    run.wait_for_task("fails", "deferred")
    [checkout] = emulator.checkouts()
    log_in(page, live_airflow)

    page.goto(f"{live_airflow.url}/required_actions")
    entry = page.get_by_role("link", name="Pay 101 USD for VideoDB credits").first
    entry.wait_for()
    pictures(page, "required-actions")
    show_required_action(page, live_airflow, run, "fails")
    link = page.get_by_role("link", name="Pay 101 USD", exact=True)
    pictures(page, "required-action")
    body = page.locator("body").inner_text()
    assert "103.5 credits are needed and 3 are available, so 100.5 are missing." in body
    assert link.get_attribute("href") == emulator.payment_url(checkout.id)
    open_checkout(page, link)
    show_required_action(page, live_airflow, run, "fails")
    page.get_by_role("button", name="Cancel", exact=True).click()
    assert run.wait() == "failed"
    assert run.task("fails")["try_number"] == 1
    log = read_log_page(page, live_airflow, run, "fails")
    pictures(page, "refused")
    lines = [line.text for line in log.errors]
    assert entries_for(lines[0])
    assert "refused the payment of 101 USD" in " ".join(lines)
    assert not [line.text for line in log.errors if line.hidden_pixels > 0]
    assert pending_in(run) == []


def test_payment_ends_the_request(live_airflow, emulator):
    run = live_airflow.api.trigger("live_asks_for_credits")
    run.wait_for_task("fails", "deferred")
    assert len(pending_in(run)) == 1

    emulator.change_settings(usage_lag=15)
    pay(run.xcom("fails", "payment_url"))
    # The task waits for the balance now, and nobody has to do anything.
    until(
        lambda: emulator.checkouts()[0].status == "completed" and not pending_in(run),
        timeout=60,
        what="the request to close",
    )
    assert run.wait() == "success"
    assert run.xcom("fails")["status"] == "completed"
    assert pending_in(run) == []


@needs_responses_that_resume
def test_payment_before_the_cancel_counts(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_polls_rarely")
    run = live_airflow.api.trigger("live_polls_rarely")
    run.wait_for_task("top_up", "deferred")

    pay(run.xcom("top_up", "payment_url"))
    cancel(run, "top_up")

    assert run.wait() == "success"
    assert run.xcom("top_up")["status"] == "completed"


@needs_responses_that_resume
def test_cleared_task_asks_again_for_the_same_checkout(live_airflow, emulator):
    run = live_airflow.api.trigger("live_polls_rarely")
    run.wait_for_task("top_up", "deferred")
    cancel(run, "top_up")
    assert run.wait() == "failed"
    # Airflow retries a task that ends before the scheduler knows that it was deferred.
    assert "refused the payment of 20 USD" in errors_in(run, "top_up", try_number=run.task("top_up")["try_number"])

    run.clear("top_up")
    run.wait_for_task("top_up", "deferred")
    [asked] = pending_in(run)
    assert emulator.payment_url(emulator.checkouts()[0].id) in asked["body"]
    assert len(emulator.calls("POST", "/billing/topup")) == 1
    cancel(run, "top_up")
    assert run.wait() == "failed"


def test_retry_after_a_kill_asks_once(live_airflow, emulator):
    fault = emulator.add_fault("hang", method="GET", path="/billing/checkouts", skip=1)
    run = live_airflow.api.trigger("live_top_up")
    emulator.wait_for_calls(2, "GET", "/billing/checkouts", timeout=30)
    os.kill(run.task("top_up")["pid"], signal.SIGKILL)
    run.wait_for_task("top_up", "up_for_retry", timeout=30)
    emulator.remove_fault(fault.id)
    run.wait_for_task("top_up", "deferred")
    assert len(pending_in(run)) == 1

    live_airflow.restart("triggerer")
    assert len(pending_in(run)) == 1
    pay(run.xcom("top_up", "payment_url"))
    assert run.wait(timeout=90) == "success"
    assert pending_in(run) == []


def test_new_link_of_a_retry_is_announced_in_the_log(live_airflow, emulator):
    run = live_airflow.api.trigger("live_top_up")
    run.wait_for_task("top_up", "deferred")
    emulator.expire(emulator.checkouts()[0].id)
    until(
        lambda: len(emulator.checkouts()) == 2 and run.task("top_up")["state"] == "deferred",
        timeout=90,
        what="a new link",
    )

    [asked] = pending_in(run)
    link = run.xcom("top_up", "payment_url")
    assert link not in asked["body"]
    texts = [line["event"] for line in run.log("top_up", try_number=2)]
    assert "Airflow shows the payment request of an earlier try." in texts
    assert any(link in text for text in texts)
    pay(link)
    assert run.wait() == "success"


def test_each_mapped_task_asks(live_airflow, emulator):
    run = live_airflow.api.trigger("live_asks_twice")
    for map_index in (0, 1):
        run.wait_for_task("top_up", "deferred", map_index=map_index)
    assert sorted(asked["subject"] for asked in pending_in(run)) == [
        "Pay 21 USD for VideoDB credits",
        "Pay 22 USD for VideoDB credits",
    ]
    cancel(run, "top_up", map_index=1)
    until(lambda: run.task("top_up", map_index=1)["state"] == "failed", timeout=60, what="the cancelled task to fail")
    assert [asked["subject"] for asked in pending_in(run)] == ["Pay 21 USD for VideoDB credits"]
    pay(run.xcom("top_up", "payment_url", map_index=0))
    until(lambda: run.task("top_up", map_index=0)["state"] == "success", timeout=60, what="the paid task to succeed")
