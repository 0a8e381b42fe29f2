"""DAGs start once per crossing of the line, whatever happens to the triggerer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.api import AirflowApiError, DagRun
from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import until

DAGS = Path(__file__).parent / "asset_dags"
USAGE = "/billing/usage"
LOW = "videodb_credits_low:videodb_default:200:back_at_250:no_warning:every_1_s"
BACK = "videodb_credits_back:videodb_default:200:back_at_250:every_1_s"
# A killed triggerer is given up after 5 seconds, not 30.
QUICK_TO_NOTICE = {
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
}


@pytest.fixture(scope="module")
def emulator():
    with Emulator(credits=1000) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def airflow(emulator, tmp_path_factory):
    with AirflowInstance(
        tmp_path_factory.mktemp("asset_airflow"),
        dags_folder=DAGS,
        connections={"videodb_default": emulator.connection},
        settings=QUICK_TO_NOTICE,
    ) as airflow:
        airflow.api.wait_for_dag("live_waits")
        yield airflow


def remembered(airflow, asset):
    """Return what the watch of an asset has stored."""
    try:
        variable = airflow.api.request("GET", f"/variables/videodb_credit_watch__{asset}")
    except AirflowApiError:
        return {}
    return json.loads(variable["value"])


def wait_until_told(airflow, asset, level):
    """Wait until the watch has stored the level, and that its event was sent."""

    def told():
        found = remembered(airflow, asset)
        return found.get("level") == level and found["unsent"] is None

    until(told, timeout=180, what=f"{asset} to be {level}")


def runs_of(airflow, dag_id):
    return len(airflow.api.pages(f"/dags/{dag_id}/dagRuns", "dag_runs"))


def reports(airflow, dag_id, *, runs):
    """Wait until the DAG has run so often, and return the levels that each run was told."""

    def finished():
        found = airflow.api.pages(f"/dags/{dag_id}/dagRuns", "dag_runs", order_by="run_after")
        return found if len(found) >= runs and all(run["state"] == "success" for run in found) else None

    found = until(finished, timeout=180, what=f"{runs} runs of {dag_id}")
    told = [DagRun(airflow.api, dag_id, run["dag_run_id"]).xcom("report") for run in found]
    return [[payload["level"] for payload in payloads] for payloads in told]


def polls_until(emulator, calls):
    emulator.clear_calls()
    emulator.wait_for_calls(calls, "GET", USAGE, timeout=180)


def test_each_crossing_starts_each_dag_once(airflow, emulator):
    wait_until_told(airflow, LOW, "ok")
    emulator.set_balance(199)
    assert reports(airflow, "live_low", runs=1) == [["low"]]
    assert reports(airflow, "live_low_too", runs=1) == [["low"]]
    wait_until_told(airflow, LOW, "low")

    # Up and down around the line, and a triggerer that is stopped and one that is killed.
    for credits in (201, 199, 249, 150):
        emulator.set_balance(credits)
        polls_until(emulator, 3)
    airflow.restart("triggerer")
    polls_until(emulator, 5)
    airflow.kill("triggerer")
    airflow.restart("triggerer")
    polls_until(emulator, 5)
    assert runs_of(airflow, "live_low") == 1
    assert runs_of(airflow, "live_back") == 0

    emulator.set_balance(250)
    assert reports(airflow, "live_back", runs=1) == [["back"]]
    wait_until_told(airflow, LOW, "ok")
    emulator.set_balance(0)
    assert reports(airflow, "live_low", runs=2) == [["low"], ["low"]]
    assert reports(airflow, "live_low_too", runs=2) == [["low"], ["low"]]
    wait_until_told(airflow, LOW, "low")


def test_watches_share_the_poll_of_a_waiting_gate(airflow, emulator):
    run = airflow.api.trigger("live_waits")
    run.wait_for_task("gate", "deferred", timeout=120)
    polls_until(emulator, 2)
    # The hold lasts three intervals, so a watch with a separate poll would call meanwhile.
    emulator.add_fault("hang", method="GET", path=USAGE, work=True, seconds=4)
    held = emulator.wait_for_calls(1, "GET", USAGE, until=lambda call: call.fault == "hang", timeout=60)[-1]
    before = len(emulator.calls("GET", USAGE))
    emulator.wait_for_calls(1, "GET", USAGE, until=lambda call: call.number == held.number and call.done, timeout=60)
    assert len(emulator.calls("GET", USAGE)) == before
    run.set_task_state("gate", "failed")


def test_failing_videodb_starts_no_dag(airflow, emulator):
    emulator.set_balance(1000)
    wait_until_told(airflow, LOW, "ok")
    wait_until_told(airflow, BACK, "ok")
    before = {dag_id: runs_of(airflow, dag_id) for dag_id in ("live_low", "live_back", "live_soon")}
    fault = emulator.add_fault("status", path=USAGE, status=401, times=None, body={"credit_balance": 0})
    polls_until(emulator, 3)
    emulator.remove_fault(fault.id)
    polls_until(emulator, 2)

    assert {dag_id: runs_of(airflow, dag_id) for dag_id in before} == before
    assert "Trigger exited" not in (airflow.logs / "triggerer.log").read_text()
