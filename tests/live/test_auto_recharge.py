"""Automatic recharge is turned back after clears and failures."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from dev.airflow.processes import until

PATH = "/billing/auto_recharge"


@pytest.fixture
def account(emulator):
    emulator.set_auto_recharge(enabled=False, threshold=5, amount=25)
    return emulator


def stored(emulator):
    settings = emulator.auto_recharge
    return settings.enabled, settings.threshold, settings.amount


def test_cleared_job_leaves_the_settings_as_found(live_airflow, account):
    live_airflow.api.wait_for_dag("live_recharge")
    run = live_airflow.api.trigger("live_recharge")
    run.wait_for_task("fails_at_first", "failed")
    run.wait_for_task("sibling", "deferred")
    assert stored(account) == (True, 1, 10)

    run.clear("fails_at_first")
    run.wait_for_task("fails_at_first", "success")
    # Airflow 3.3 clears the setup as well. An older one clears the job only.
    assert run.task("on")["try_number"] == (2 if VARIABLES_CAN_BE_LISTED else 1)
    assert run.xcom("on")["before"] == {"enabled": False, "threshold": 5, "amount": 25}
    account.set_balance(100)

    assert run.wait() == "success"
    assert stored(account) == (False, 5, 25)


def test_failed_restore_fails_the_run_until_a_clear(live_airflow, account):
    live_airflow.api.wait_for_dag("live_recharge_back")
    fault = account.add_fault("status", method="POST", path=PATH, skip=1, times=None, status=503)
    run = live_airflow.api.trigger("live_recharge_back")

    assert run.wait() == "failed"
    assert run.task("back")["try_number"] == 2
    text = " ".join(str(line["event"]) for line in run.log("back", try_number=2))
    assert "Automatic recharge may still be on (threshold 1, amount 10 credits)." in text
    assert "This DAG run found it off (threshold 5, amount 25 credits)." in text
    assert stored(account) == (True, 1, 10)

    account.remove_fault(fault.id)
    run.clear("back")
    until(lambda: run.task("back")["state"] == "success", timeout=60, what="the teardown to restore")
    assert stored(account) == (False, 5, 25)


def test_failed_setup_with_an_effect_is_restored(live_airflow, account):
    live_airflow.api.wait_for_dag("live_recharge_back")
    # The read after the write fails. Before it, a task that can list Variables reads twice.
    # The transport sends one read four times.
    reads_before = 2 if VARIABLES_CAN_BE_LISTED else 1
    account.add_fault("status", method="GET", path=PATH, skip=reads_before, times=4, status=503)
    run = live_airflow.api.trigger("live_recharge_back")
    until(lambda: run.task("back")["state"] == "success", timeout=90, what="the teardown to restore")

    assert run.task("on")["state"] == "failed"
    text = " ".join(str(line["event"]) for line in run.log("on"))
    assert "Automatic recharge may be on (threshold 1, amount 10 credits)." in text
    assert stored(account) == (False, 5, 25)
