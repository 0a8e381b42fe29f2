"""Two pipelines never count on the same credits, in a real Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dev.airflow.processes import until
from dev.demo.payer import pay
from tests.support.compat import needs_listed_variables

if TYPE_CHECKING:
    from pathlib import Path

    from dev.airflow.api import DagRun
    from dev.airflow.instance import AirflowInstance

pytestmark = [needs_listed_variables, pytest.mark.usefixtures("no_holds")]


def command(airflow: AirflowInstance, name: str) -> dict[str, Any]:
    printed = airflow.run_command("videodb", "holds", name, "-o", "json")
    # Airflow may log lines before.
    return json.loads(printed[printed.index("{") :])


def state_of_gate(run: DagRun) -> str | None:
    return run.task("credits")["state"]


def test_second_pipeline_asks_for_a_payment(live_airflow: AirflowInstance, emulator, tmp_path: Path) -> None:
    emulator.set_balance(15)
    for dag_id in ("live_hold_first", "live_hold_second"):
        live_airflow.api.wait_for_dag(dag_id)
    stop = tmp_path / "stop"

    runs = [
        live_airflow.api.trigger(dag_id, conf={"until": str(stop)})
        for dag_id in ("live_hold_first", "live_hold_second")
    ]
    until(
        lambda: sorted(str(state_of_gate(run)) for run in runs) == ["deferred", "success"],
        timeout=120,
        what="one gate to open and the other to wait",
    )
    opened = next(run for run in runs if state_of_gate(run) == "success")
    waiting = next(run for run in runs if run is not opened)

    assert opened.xcom("credits")["held"] == 12
    # While the first gate is opening, nobody knows what it leaves. Then the second one buys the rest.
    until(lambda: waiting.xcom("credits", "payment_url"), timeout=60, what="the other to ask for a payment")
    assert [checkout.amount for checkout in emulator.checkouts()] == [9]
    assert waiting.xcom("credits", "waiting").startswith("Waiting: 12 credits needed, 3 available (15 on the account, ")
    [account] = command(live_airflow, "list")["accounts"]
    assert [one["dag_id"] for one in account["holds"]] == [opened.dag_id]
    assert [one["dag_id"] for one in account["waiting"]] == [waiting.dag_id]

    pay(waiting.xcom("credits", "payment_url"))
    until(lambda: state_of_gate(waiting) == "success", timeout=120, what="the paid gate to open")
    stop.touch()

    assert [run.wait() for run in runs] == ["success", "success"]
    assert len(emulator.checkouts()) == 1
    ended = command(live_airflow, "journal")["holds"]
    assert sorted((hold["dag_id"], hold["credits"], hold["spent"]) for hold in ended) == [
        ("live_hold_first", 12, 10),
        ("live_hold_second", 12, 10),
    ]
