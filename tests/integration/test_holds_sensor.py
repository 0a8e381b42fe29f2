"""Gates that hold credits, in whole DAG runs."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.integration.test_gates import MODES
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import flags_in_database

pytestmark = pytest.mark.usefixtures("airflow_db")

HOLDING_MODES = {name: mode for name, mode in MODES.items() if "end_from_trigger" not in mode} | {
    "starts_in_trigger": {"deferrable": True, "start_from_trigger": True}
}


def hold(task_id: str, credits: float, mode: str = "deferrable", **arguments: Any) -> CreditThresholdSensor:
    usual: dict[str, Any] = {"hold": True, "poke_interval": 0.1, "timeout": 3}
    return CreditThresholdSensor(task_id=task_id, threshold=credits, **usual | MODES.get(mode, {}) | arguments)


@pytest.mark.parametrize("mode", HOLDING_MODES)
def test_second_gate_cannot_use_the_same_credits(emulator, mode):
    emulator.set_balance(15)
    with new_dag(f"two_{mode}") as dag:
        hold("first", 12, mode) >> hold("second", 12, mode)

    finished = run(dag)

    assert finished.task_state("first") == "success"
    assert finished.result("first") == {
        "credit_balance": 15,
        "usage_this_month": 0,
        "breakdown": {},
        "held": 12,
        "balance": 15,
        "available": 15,
    }
    assert finished.task_state("second") == "failed"
    assert [(flag.kind, flag.credits) for flag in flags_in_database()] == [(Kind.HELD, 12)]
