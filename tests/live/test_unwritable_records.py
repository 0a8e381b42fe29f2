"""
The metadata database refuses writes while a task buys.

`make older` also runs this in Airflow 3.1, where `Variable.set` logs a failed write and raises nothing. The test needs
a real supervisor, because `dag.test()` raises an error there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import pytest

from dev.airflow.api import FINISHED
from dev.airflow.processes import until

# The tables that can hold a record. Airflow before 3.3 has only the first.
TABLES = ("variable", "task_state_store")
WRITES = ("INSERT", "UPDATE")


@pytest.fixture
def emulator(fenced_emulator):
    """Charge each top-up to the stored card, and lose the first response."""
    fenced_emulator.reset()
    fenced_emulator.change_settings(charge_stored_card=True)
    fenced_emulator.add_fault("drop_after", method="POST", path="/billing/topup", times=1)
    return fenced_emulator


@contextmanager
def refusing_writes(airflow):
    """Make the database refuse to write a record inside the block."""
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


@pytest.mark.parametrize("fenced_airflow", ["task state store"], indirect=True)
def test_nothing_is_bought_until_its_record_is_written(fenced_airflow, emulator):
    with refusing_writes(fenced_airflow):
        run = fenced_airflow.api.trigger("live_records")
        until(lambda: has_tried_twice(run), timeout=120, what="two tries")
        asked_meanwhile = len(emulator.calls("POST", "/billing/topup"))

    state = run.wait(timeout=180)
    paid = [int(checkout.amount) for checkout in emulator.checkouts() if checkout.status == "completed"]
    assert (asked_meanwhile, paid, state) == (0, [20], "success")


def has_tried_twice(run):
    task = run.task("top_up")
    return task["state"] in FINISHED or task["try_number"] > 2
