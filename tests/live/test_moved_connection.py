"""A connection changes to another account while a gate waits."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.emulator.server import Emulator

CONN_ID = "videodb_moving"
USAGE = "/billing/usage"


@pytest.fixture
def other():
    with Emulator(credits=3, api_key="sk-live-of-the-other-account") as running:
        yield running


def test_gates_follow_a_changed_connection(live_airflow, emulator, other):
    live_airflow.api.wait_for_dag("live_gate")

    def names(account):
        live_airflow.api.set_connection(CONN_ID, **account.connection)

    def waiting_for(threshold):
        run = live_airflow.api.trigger("live_gate", conf={"threshold": threshold, "account": CONN_ID})
        run.wait_for_task("gate", "deferred")
        return run

    names(emulator)
    emulator.set_balance(500)
    before = waiting_for(1000)
    emulator.wait_for_calls(3, "GET", USAGE, timeout=30)

    names(other)
    after = waiting_for(100)
    other.wait_for_calls(len(other.calls()) + 3, "GET", USAGE, timeout=30)
    asked = len(emulator.calls())
    other.wait_for_calls(len(other.calls()) + 3, "GET", USAGE, timeout=30)
    assert len(emulator.calls()) == asked
    assert (before.task("gate")["state"], after.task("gate")["state"]) == ("deferred", "deferred")

    other.set_balance(100)
    assert after.wait(timeout=60) == "success"
    assert after.xcom("gate")["credit_balance"] == 100
    assert before.task("gate")["state"] == "deferred"

    other.set_balance(1000)
    assert before.wait(timeout=60) == "success"
    live_airflow.api.delete_connection(CONN_ID)
