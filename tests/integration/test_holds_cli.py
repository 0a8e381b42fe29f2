"""What the commands do to real gates, and what they show of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import flags_in_database

pytestmark = [pytest.mark.usefixtures("airflow_db"), needs_listed_variables]


def holds(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    from airflow_provider_videodb.__main__ import main

    capsys.readouterr()
    main(["holds", *arguments])
    printed = capsys.readouterr().out
    return json.loads(printed) if "json" in arguments else printed


def gate_of(dag_id: str, credits: float, **arguments: Any):
    with new_dag(dag_id) as dag:
        CreditThresholdSensor(
            task_id="gate", threshold=credits, hold=True, poke_interval=0.1, timeout=1, deferrable=False, **arguments
        )
    return dag


def test_hold_of_a_gate_is_listed_released_and_noted(emulator, capsys):
    emulator.set_balance(100)
    assert run(gate_of("holder", 80)).task_state("gate") == "success"
    (account,) = holds(capsys, "list", "-o", "json")["accounts"]
    (hold,) = account["holds"]
    assert (hold["credits"], hold["dag_id"], hold["run_state"], hold["run_has_ended"]) == (
        80,
        "holder",
        "success",
        True,
    )

    holds(capsys, "release", hold["id"], "--reason", "the job is done")

    (account,) = holds(capsys, "list", "-o", "json")["accounts"]
    assert account["holds"] == []
    assert account["settling_credits"] == 80
    (note,) = holds(capsys, "journal", "-o", "json")["holds"]
    assert note["how_it_ended"].endswith(": the job is done")


def test_paused_account_opens_no_gate_until_it_is_resumed(emulator, capsys):
    emulator.set_balance(100)
    holds(capsys, "pause", "--account", "videodb_default", "--for", "1h", "--reason", "the invoice")
    assert run(gate_of("paused", 10)).task_state("gate") == "failed"
    assert not any(flag.kind == "h" for flag in flags_in_database())
    holds(capsys, "resume", "--account", "videodb_default")
    assert run(gate_of("resumed", 10)).task_state("gate") == "success"
