"""
A metadata database that refuses writes, under a task that buys.

`make older` runs this in Airflow 3.2 as well, where `Variable.set` logs that it failed and returns as if it had not.
Only a supervisor of its own shows that: `dag.test()` raises another error.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.api import FINISHED
from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import until
from tests.live.conftest import LIVE_DAGS

# Where a record can be kept, of which an older Airflow has the first only.
TABLES = ("variable", "task_state_store")
WRITES = ("INSERT", "UPDATE")


@pytest.fixture
def charging_emulator():
    """Every top-up is charged to the stored card, and the answer to the first one is lost."""
    with Emulator(credits=3, charge_stored_card=True) as emulator:
        emulator.add_fault("drop_after", method="POST", path="/billing/topup", times=1)
        yield emulator


@pytest.fixture
def airflow(charging_emulator, tmp_path):
    (tmp_path / "dags").mkdir()
    shutil.copy(LIVE_DAGS / "live_records.py", tmp_path / "dags")
    with AirflowInstance(
        tmp_path / "airflow",
        dags_folder=tmp_path / "dags",
        connections={"videodb_default": charging_emulator.connection},
        # A write that the API server refuses is tried five times by default, for a minute and more.
        settings={"AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "1"},
    ) as running:
        running.api.wait_for_dag("live_records")
        yield running


@contextmanager
def refusing_writes(airflow):
    """Let the database refuse to keep any record inside the block."""
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30, isolation_level=None)) as database:
        present = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        writes = [(write, table) for table in TABLES if table in present for write in WRITES]
        for write, table in writes:
            database.execute(
                f"CREATE TRIGGER refuse_{write}_{table} BEFORE {write} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            )
        yield
        for write, table in writes:
            database.execute(f"DROP TRIGGER refuse_{write}_{table}")


def test_nothing_is_bought_until_its_record_can_be_kept(airflow, charging_emulator):
    with refusing_writes(airflow):
        run = airflow.api.trigger("live_records")
        until(lambda: has_tried_twice(run), timeout=120, what="two tries")
        asked_meanwhile = len(charging_emulator.calls("POST", "/billing/topup"))

    state = run.wait(timeout=180)
    paid = [int(checkout.amount) for checkout in charging_emulator.checkouts() if checkout.status == "completed"]
    assert (asked_meanwhile, paid, state) == (0, [20], "success")


def has_tried_twice(run):
    task = run.task("top_up")
    return task["state"] in FINISHED or task["try_number"] > 2
