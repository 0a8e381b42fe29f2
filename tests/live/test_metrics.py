"""The metrics of a running Airflow, as a statsd server receives them from workers and the triggerer."""

from __future__ import annotations

import pytest

from dev.demo.payer import pay
from tests.support.compat import needs_listed_variables
from tests.support.stats import needs_statsd

pytestmark = needs_statsd

CONN = "videodb_default"


@pytest.fixture
def sink(statsd_sink, live_airflow, emulator):
    statsd_sink.clear()
    return statsd_sink


def test_waits_are_reported_from_the_first_poll_to_the_last(live_airflow, emulator, sink):
    for dag_id in ("live_gate", "live_top_up"):
        live_airflow.api.wait_for_dag(dag_id)
    gate = live_airflow.api.trigger("live_gate", conf={"threshold": 100, "account": CONN})
    payment = live_airflow.api.trigger("live_top_up")
    payment.wait_for_task("top_up", "deferred")
    host = payment.task("top_up")["hostname"].replace(".", "__")

    sink.wait_for(
        f"airflow.videodb.balance.{CONN}:3.0|g",
        f"airflow.videodb.waiting_tasks.{CONN}.credits.{host}:1|g",
        f"airflow.videodb.waiting_tasks.{CONN}.payment.{host}:1|g",
        f"airflow.videodb.polls.{CONN}.balance:1|c",
        f"airflow.videodb.polls.{CONN}.checkouts:1|c",
    )
    emulator.add_fault("status", path="/billing/usage", status=503)
    sink.wait_for(f"airflow.videodb.poll_failures.{CONN}.balance.VideoDBServerError:1|c")
    # Nobody read the balance then, so nobody has reported one.
    assert {line for line in sink.lines() if ".balance." in line and ".balance.Video" not in line} >= {
        f"airflow.videodb.balance.{CONN}:3.0|g"
    }
    assert f"airflow.videodb.balance.{CONN}:0.0|g" not in sink.lines()

    pay(payment.xcom("top_up", "payment_url"))
    emulator.set_balance(100)
    assert (gate.wait(), payment.wait()) == ("success", "success")

    # The workers that went on have read this one.
    sink.wait_for(
        f"airflow.videodb.balance.{CONN}:100.0|g",
        f"airflow.videodb.waiting_tasks.{CONN}.credits.{host}:0|g",
        f"airflow.videodb.waiting_tasks.{CONN}.payment.{host}:0|g",
    )


@needs_listed_variables
def test_holds_are_reported_by_worker_and_triggerer(live_airflow, emulator, sink, tmp_path):
    for dag_id in ("live_hold_first", "live_hold_second"):
        live_airflow.api.wait_for_dag(dag_id)
    emulator.set_balance(20)
    until = tmp_path / "until"
    first = live_airflow.api.trigger("live_hold_first", conf={"until": str(until)})
    first.wait_for_task("job", "running")

    sink.wait_for(
        f"airflow.videodb.holds.held.{CONN}:12.0|g",
        f"airflow.videodb.holds.available.{CONN}:8.0|g",
        f"airflow.videodb.holds.waiting.{CONN}:0|g",
    )
    second = live_airflow.api.trigger("live_hold_second", conf={"until": str(until)})
    sink.wait_for(f"airflow.videodb.holds.waiting.{CONN}:1|g")

    until.touch()
    emulator.set_balance(100)
    assert (first.wait(), second.wait(timeout=120)) == ("success", "success")
