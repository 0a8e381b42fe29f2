"""Fifty gates of one account share one poll and hold no worker."""

from __future__ import annotations

from dev.airflow.processes import until

GATES = 50
USAGE = "/billing/usage"


def test_many_waiting_gates_share_one_poll(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_many_gates")
    run = live_airflow.api.trigger("live_many_gates")

    def all_wait():
        return [task["state"] for task in run.tasks()] == ["deferred"] * GATES

    until(all_wait, timeout=240, what="all gates to wait")
    assert live_airflow.api.pool()["running_slots"] == 0
    emulator.clear_calls()
    # The hold lasts two intervals, so a gate with a separate poll would call meanwhile.
    emulator.add_fault("hang", method="GET", path=USAGE, work=True, seconds=5)
    held = emulator.wait_for_calls(1, "GET", USAGE, until=lambda call: call.fault == "hang", timeout=30)[-1]
    before = len(emulator.calls("GET", USAGE))
    emulator.wait_for_calls(1, "GET", USAGE, until=lambda call: call.number == held.number and call.done, timeout=30)
    assert len(emulator.calls("GET", USAGE)) == before

    emulator.set_balance(100)

    assert run.wait(timeout=240) == "success"
