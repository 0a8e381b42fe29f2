"""A response that cannot be encoded does not end the triggerer."""

from __future__ import annotations

from dev.demo.payer import pay

BODY = '{"credit_balance": 1000, "usage_this_month": 0, "breakdown": {"\\ud800": 1}}'


def test_unencodable_name_leaves_other_tasks_waiting(live_airflow, emulator):
    for dag_id in ("live_gate", "live_top_up"):
        live_airflow.api.wait_for_dag(dag_id)
    payment = live_airflow.api.trigger("live_top_up")
    gate = live_airflow.api.trigger("live_gate", conf={"threshold": 100, "account": "videodb_default"})
    payment.wait_for_task("top_up", "deferred")
    gate.wait_for_task("gate", "deferred")
    emulator.wait_for_calls(2, "GET", "/billing/usage", timeout=30)
    processes = set(live_airflow.pids("triggerer"))

    fault = emulator.add_fault("html", path="/billing/usage", times=None, body=BODY)
    ended = gate.wait(timeout=60)
    emulator.remove_fault(fault.id)

    # The gate opens if the transport replaces the name, and fails otherwise.
    assert ended in ("success", "failed")
    assert set(live_airflow.pids("triggerer")) == processes
    pay(payment.xcom("top_up", "payment_url"))
    assert payment.wait() == "success"
