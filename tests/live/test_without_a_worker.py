"""Sensors that start and end in the triggerer never use a worker."""

from __future__ import annotations

from tests.support.compat import needs_start_in_triggerer


@needs_start_in_triggerer
def test_gate_opens_or_is_skipped_without_a_worker(live_airflow, emulator):
    live_airflow.api.wait_for_dag("live_without_a_worker")
    run = live_airflow.api.trigger("live_without_a_worker")
    run.wait_for_task("filled", "deferred")
    emulator.wait_for_calls(1, "GET", "/billing/usage", timeout=30)

    emulator.set_balance(10)

    assert run.wait_for_task("filled", "success") == "success"
    assert run.wait_for_task("too_late", "skipped") == "skipped"
    for task_id in ("filled", "too_late"):
        assert run.task(task_id)["pid"] is None
        assert not run.task(task_id)["hostname"]
    assert run.xcom("filled") is not None
