"""A worker or a triggerer is killed before the payment, and the run goes on."""

from __future__ import annotations

import os
import signal

from dev.demo.payer import pay


def test_killed_worker_makes_one_purchase(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_top_up")
    # The task has made its checkout and waits for its next call.
    fault = emulator.add_fault("hang", method="GET", path="/billing/checkouts", skip=1)
    run = live_airflow.api.trigger("live_top_up")
    emulator.wait_for_calls(2, "GET", "/billing/checkouts", timeout=30)

    os.kill(run.task("top_up")["pid"], signal.SIGKILL)
    run.wait_for_task("top_up", "up_for_retry", timeout=30)
    emulator.remove_fault(fault.id)
    run.wait_for_task("top_up", "deferred")

    assert run.task("top_up")["try_number"] == 2
    (checkout,) = emulator.checkouts()
    pay(run.xcom("top_up", "payment_url"))
    assert run.wait() == "success"
    assert run.xcom("top_up")["checkout_id"] == checkout.id
    assert len(emulator.calls("POST", "/billing/topup")) == 1


def test_next_triggerer_sees_the_payment(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_top_up")
    run = live_airflow.api.trigger("live_top_up")
    run.wait_for_task("top_up", "deferred")
    emulator.wait_for_calls(4, "GET", "/billing/checkouts", timeout=30)

    live_airflow.kill("triggerer")
    pay(run.xcom("top_up", "payment_url"))
    live_airflow.restart("triggerer")

    assert run.wait(timeout=90) == "success"
    assert len(emulator.calls("POST", "/billing/topup")) == 1
