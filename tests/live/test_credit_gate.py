"""Check each sentence of the credit-gate example in a real Airflow."""

from __future__ import annotations

from dev.airflow.processes import until
from dev.demo.payer import pay

BUTTON = "Pay 20 USD"


def test_gate_waits_without_a_worker_and_indexes_once_paid(live_airflow, emulator):
    run = live_airflow.api.trigger("credit_gate")
    run.wait_for_task("top_up", "deferred")

    link = run.xcom("top_up", "payment_url")
    assert run.links("top_up") == {BUTTON: link}
    pid = run.task("top_up")["pid"]
    until(lambda: not live_airflow.has_process(pid), timeout=10, what="the task's process to end")
    assert live_airflow.api.pool()["running_slots"] == 0
    assert emulator.calls("POST", "/collection/*") == []

    pay(link)

    assert run.wait() == "success"
    assert has_waited(run)
    assert [(checkout.amount, checkout.status) for checkout in emulator.checkouts()] == [(20, "completed")]
    assert run.xcom("enough_credits")["credit_balance"] == 23
    indexed = emulator.calls("POST", "/video/*/index", accepted=True)
    assert [call.headers["x-videodb-client"].split("/")[0] for call in indexed] == ["videodb-python"] * 3
    assert len({run.xcom("index_video", map_index=index) for index in range(3)}) == 3
    assert emulator.balance == 3 + 20 - 3 * 4


def test_gate_buys_nothing_if_the_balance_suffices(live_airflow, emulator):
    emulator.set_balance(12)

    run = live_airflow.api.trigger("credit_gate")

    assert run.wait() == "success"
    assert run.xcom("top_up")["status"] == "not_needed"
    assert emulator.checkouts() == []
    assert emulator.balance == 0
    assert not has_waited(run)


def has_waited(run):
    """Tell whether the task has ever deferred. Only Airflow's log says that of a finished one in every version."""
    return any("as DEFERRED" in str(line["event"]) for line in run.log("top_up"))
