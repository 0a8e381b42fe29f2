"""Real processes that buy, and a real task that reads what a person answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.airflow.processes import until
from tests.integration.test_topup_unknown import TestUnknownOutcome as _Unknown
from tests.support.compat import needs_provider_commands

AIRFLOW = [str(Path(sys.executable).with_name("airflow")), "videodb"]
MODULE = [sys.executable, "-m", "airflow_provider_videodb"]


@pytest.mark.parametrize("program", [pytest.param(AIRFLOW, id="airflow", marks=needs_provider_commands), MODULE])
def test_purchase_under_a_monthly_limit_prints_json_only(airflow_db, emulator, monkeypatch, program):
    connection = json.loads(emulator.connection_json) | {"extra": {"monthly_topup_limit": 60}}
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", json.dumps(connection))
    env = os.environ | {"PYTHONWARNINGS": "ignore::PendingDeprecationWarning"}
    command = [*program, "topup", "50", "--yes", "-o", "json"]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=180)
    assert ran.returncode == 0, ran.stderr
    (bought,) = emulator.checkouts()
    assert json.loads(ran.stdout)["payment_url"] == emulator.payment_url(bought.id)


def test_commands_at_once_buy_once(airflow_db, emulator):
    emulator.change_settings(list_lag=60)
    command = [*MODULE, "topup", "50", "--yes"]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(3)
    ]
    ended = [(process.communicate(timeout=180), process.returncode) for process in started]
    # If each sees another one, none of them buys.
    assert len(emulator.checkouts()) <= 1
    assert [status for _, status in ended].count(0) == len(emulator.checkouts())
    for (out, err), status in ended:
        assert status == 0 or (out == "" and "ran this command for 50 USD" in " ".join(err.split()))


class TestAnswer:
    """A task stopped, because two paid checkouts may be its own."""

    purchasing, stopped = _Unknown.purchasing, _Unknown.stopped

    def test_answer_lets_the_cleared_task_go_on(self, stopped, purchasing, emulator, capsys):
        from airflow_provider_videodb.__main__ import main

        own = emulator.checkouts()[0]
        run_id = stopped.run.dag_run.run_id

        def questions():
            # Other tests leave questions in the same database.
            capsys.readouterr()
            main(["answer", "-o", "json"])
            return [one for one in json.loads(capsys.readouterr().out)["questions"] if one["run_id"] == run_id]

        # It is asked once VideoDB's list has had the time to show all checkouts.
        (question,) = until(questions, timeout=60, what="the question", interval=1)
        assert (question["dag_id"], question["task_id"], question["state"]) == ("purchasing", "buy", "failed")

        names = ["--dag-id", "purchasing", "--run-id", question["run_id"], "--task-id", "buy"]
        main(["answer", *names, "--checkout", own.id, "--yes"])

        again = purchasing.clear(stopped)
        assert (again.state, again.result["checkout_id"]) == ("success", own.id)
        assert questions() == []
