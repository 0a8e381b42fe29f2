"""What a gate reports of the holds when a worker checks it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.metrics import AVAILABLE, GATES_WAITING, HELD
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from tests.support.airflow_channel import AirflowChannel
from tests.support.compat import needs_listed_variables
from tests.support.stats import kept_metrics
from tests.unit.operators.test_credit_gate import Gate, usage
from tests.unit.triggers.poll_results import SETTINGS

CONN = "team_a"


@pytest.fixture
def airflow(monkeypatch):
    channel = AirflowChannel()
    channel.install(monkeypatch)
    monkeypatch.setattr("airflow_provider_videodb.holds.gate._LONGEST_PAUSE", 0)
    return channel


@pytest.fixture
def reported(airflow, monkeypatch):
    def reported(balance, hold, *, reserve=0, **fields):
        settings = replace(SETTINGS, limits=SpendLimits(conn_id=CONN), credit_reserve=Decimal(reserve))
        Gate(hold, **fields).task_gate.check(settings, lambda: usage(balance))
        return [sent.of(metric).get((CONN,)) for metric in (HELD, AVAILABLE, GATES_WAITING)]

    with kept_metrics(monkeypatch) as sent:
        yield reported


@needs_listed_variables
@pytest.mark.parametrize(
    ("balance", "hold", "expected"),
    [
        # This gate holds its 50 credits now.
        ("90", True, [55, 35, 0]),
        # It waits in the queue.
        ("40", True, [5, 35, 1]),
        # It has no place in the queue, open or closed.
        ("90", False, [5, 85, 0]),
        ("40", False, [5, 35, 0]),
        ("90", "audit", [5, 85, 0]),
    ],
)
def test_gate_reports_what_all_gates_hold(airflow, reported, balance, hold, expected):
    airflow.put(Kind.HELD, "5", account="shared")
    assert reported(balance, hold) == expected


@needs_listed_variables
def test_reserve_is_not_available(airflow, reported):
    assert reported("90", False, reserve=10) == [0, 80, 0]


@needs_listed_variables
def test_another_waiting_gate_is_counted(airflow, reported):
    airflow.put(Kind.WAITING, "70", account="shared")
    assert reported("40", True) == [0, 40, 2]


def test_gate_that_reads_no_holds_reports_none(airflow, reported):
    assert reported("90", False, respect_holds=False) == [None, None, None]
