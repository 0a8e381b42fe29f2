"""Metrics of whole DAG runs: the operators and the sensor report, and go on if Airflow's Stats fails."""

from __future__ import annotations

import pytest

from airflow_provider_videodb import metrics
from airflow_provider_videodb.metrics import BALANCE, POLLS
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from dev.demo.payer import pay
from tests.support.dag_runs import new_dag, run
from tests.support.stats import kept_metrics

pytestmark = pytest.mark.usefixtures("airflow_db")

CONN = "videodb_default"


class Payer:
    """Pays as soon as it is told the link."""

    def __call__(self, context):
        pay(context["task"].payment_url)


def topped_up():
    with new_dag("metrics") as dag:
        TopupOperator(task_id="top_up", amount=20, poll_interval=0.1, notifiers=[Payer()])
    return run(dag)


@pytest.mark.parametrize("deferrable", [True, False])
def test_open_gate_reports_its_balance(emulator, monkeypatch, deferrable):
    emulator.set_balance(20)
    with kept_metrics(monkeypatch) as sent:
        with new_dag("metrics") as dag:
            CreditThresholdSensor(task_id="gate", threshold=10, deferrable=deferrable)
        assert run(dag).state == "success"
        assert sent.of(BALANCE) == {(CONN,): 20}


def test_purchase_reports_polls_and_the_balance_after_it(emulator, monkeypatch):
    with kept_metrics(monkeypatch) as sent:
        assert topped_up().state == "success"
        assert sent.of(BALANCE) == {(CONN,): 23}
        assert sent.of(POLLS)[CONN, "checkouts"] >= 1


def test_broken_stats_leaves_a_purchase_alone(emulator, monkeypatch):
    def fail():
        raise OSError("no route to the metrics")

    with kept_metrics(monkeypatch):
        monkeypatch.setattr(metrics, "_stats", fail)
        assert topped_up().state == "success"
    assert [checkout.status for checkout in emulator.checkouts()] == ["completed"]
