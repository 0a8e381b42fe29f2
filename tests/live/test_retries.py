"""Airflow keeps to the retry policy: no retry, a retry after the pause, a retry after a shortage."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.support.compat import needs_retry_policies

pytestmark = needs_retry_policies

USAGE = "/billing/usage"
REFUSED = '{"success": false, "message": "no"}'


@pytest.fixture
def run_task(live_airflow):
    live_airflow.api.wait_for_dag("live_retries")
    return lambda task_id: live_airflow.api.trigger("live_retries", conf={"task": task_id})


def says(run, task_id, text):
    return any(text in str(line) for line in run.log(task_id))


def seconds_between_tries(run, task_id):
    """Return the time from the end of the first try to the start of the second."""
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/tries"
    first, second = run.api.request("GET", path)["task_instances"]
    return (datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(first["end_date"])).total_seconds()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_fails_without_a_retry(run_task, emulator, status):
    emulator.add_fault("status", path=USAGE, times=None, status=status, body=REFUSED)

    run = run_task("read")

    assert run.wait() == "failed"
    assert run.task("read")["try_number"] == 1
    assert len(emulator.calls("GET", USAGE)) == 1
    assert says(run, "read", f"A retry cannot help (HTTP {status}).")


def test_rate_limit_delays_the_retry_as_long_as_asked(run_task, emulator):
    emulator.add_fault("status", path=USAGE, status=429, retry_after="6", body=REFUSED)

    run = run_task("read")

    assert run.wait() == "success"
    assert run.task("read")["try_number"] == 2
    # Without the policy this is an hour.
    assert 6 <= seconds_between_tries(run, "read") < 60
    assert says(run, "read", "VideoDB asks for a pause of 6 s.")


def test_job_short_of_credits_is_retried_after_the_delay(run_task, emulator):
    run = run_task("index")
    run.wait_for_task("index", "up_for_retry")
    emulator.set_balance(50)

    assert run.wait() == "success"
    assert run.task("index")["try_number"] == 2
    assert 4 <= seconds_between_tries(run, "index") < 60
    assert says(run, "index", "The account is short of credits.")


def test_purchase_with_unknown_outcome_is_not_repeated(run_task, emulator):
    emulator.add_fault("drop_after", method="POST", path="/billing/*")

    run = run_task("buy")

    assert run.wait() == "failed"
    assert run.task("buy")["try_number"] == 1
    assert len(emulator.checkouts()) == 1
    assert says(run, "buy", "a retry would send it again")
