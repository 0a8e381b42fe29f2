"""The first DAG that a reader of the README saves and runs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.support.code_blocks import code_blocks
from tests.support.dag_runs import run

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def first_dag(airflow_db, tmp_path, monkeypatch):
    (block,) = [block for block in code_blocks(README) if "@dag" in block.text]
    file = tmp_path / "first_dag.py"
    file.write_text(block.text)
    spec = importlib.util.spec_from_file_location("first_dag", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "first_dag", module)
    spec.loader.exec_module(module)
    dag = module.credit_gate()
    # The README keeps the default intervals.
    dag.get_task("top_up").poll_interval = dag.get_task("enough_credits").poke_interval = 0.2
    return dag


def test_first_dag_buys_waits_and_indexes(first_dag, emulator):
    emulator.change_settings(pay_after=0.5, price_index=4)

    finished = run(first_dag)

    assert finished.state == "success"
    assert [checkout.amount for checkout in emulator.checkouts()] == [20]
    assert emulator.balance == 3 + 20 - 4
