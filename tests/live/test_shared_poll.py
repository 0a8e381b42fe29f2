"""Fifty gates on one account cost one poll per interval, and no worker."""

from __future__ import annotations

from itertools import pairwise

from dev.airflow.processes import until

GATES = 50
INTERVAL = 2


def test_many_waiting_gates_share_one_poll(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_many_gates")
    run = live_airflow.api.trigger("live_many_gates")

    def all_wait():
        return [task["state"] for task in run.tasks()] == ["deferred"] * GATES

    until(all_wait, timeout=240, what="all gates to wait")
    assert live_airflow.api.pool()["running_slots"] == 0
    emulator.clear_calls()
    calls = emulator.wait_for_calls(4, "GET", "/billing/usage", timeout=30)
    gaps = [(after.wall_time - before.wall_time).total_seconds() for before, after in pairwise(calls)]
    assert min(gaps) > INTERVAL * 0.8

    emulator.set_balance(100)

    assert run.wait(timeout=240) == "success"
