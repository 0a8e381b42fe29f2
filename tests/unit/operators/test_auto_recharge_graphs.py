"""Pairs in several shapes of DAG restore each its own settings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from airflow.sdk import task, task_group

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from tests.support.dag_runs import new_dag, run
from tests.support.recharge import PATH, READS_BEFORE_EFFECT, Pair, flags, notes, stored, writes

FOUND = (False, Decimal(5), Decimal(25))
SET = (True, Decimal(20), Decimal(100))


def test_two_pairs_restore_each_its_own_account(account, other_account):
    with new_dag("two_pairs") as dag:

        @task
        def job() -> None:
            raise RuntimeError("the job failed")

        working = job()
        for conn_id, figures in (("videodb_default", (20, 100)), ("other", (30, 200))):
            on = AutoRechargeOperator(
                task_id=f"on_{conn_id}", threshold=figures[0], amount=figures[1], videodb_conn_id=conn_id
            )
            back = AutoRechargeOperator(task_id=f"back_{conn_id}", restore=on.output, videodb_conn_id=conn_id)
            on >> working >> back.as_teardown(setups=on)

    run(dag)

    assert (writes(account), writes(other_account)) == (2, 2)
    assert stored(account) == FOUND
    assert stored(other_account) == (False, 7, 35)
    assert (flags(), notes()) == ([], {})


def test_nested_pairs_restore_each_what_it_found(account):
    during = []
    with new_dag("nested") as dag:
        outer_on = AutoRechargeOperator(task_id="outer_on", threshold=20, amount=100)
        inner_on = AutoRechargeOperator(task_id="inner_on", threshold=30, amount=200)
        inner_back = AutoRechargeOperator(task_id="inner_back", restore=inner_on.output)
        outer_back = AutoRechargeOperator(task_id="outer_back", restore=outer_on.output)

        @task
        def look() -> None:
            during.append(stored(account))

        outer_on >> inner_on >> inner_back >> look() >> outer_back

    assert run(dag).state == "success"
    assert during == [SET]
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def test_settings_of_one_account_are_not_restored_on_another(account, other_account):
    pair = Pair(back={"videodb_conn_id": "other", "retries": 2})

    assert pair.states() == ("success", "failed", "failed")
    assert pair.run.tries("back") == 1
    error = str(pair.errors["back"][0])
    assert "'other'" in error
    assert "'videodb_default'" in error
    assert "may still be" in error
    assert other_account.calls() == []


def test_mapped_pairs_restore_each_its_own_account(account, other_account):
    with new_dag("mapped_pairs") as dag:

        @task_group
        def with_recharge(conn_id: str) -> None:
            on = AutoRechargeOperator(task_id="on", threshold=20, amount=100, videodb_conn_id=conn_id)
            back = AutoRechargeOperator(task_id="back", restore=on.output, videodb_conn_id=conn_id)
            job = task(task_id="job")(lambda: None)()
            on >> job >> back.as_teardown(setups=on)

        with_recharge.expand(conn_id=["videodb_default", "other"])
    # The second copy's setup fails after its effect.
    other_account.add_fault("status", method="GET", path=PATH, skip=READS_BEFORE_EFFECT)

    finished = run(dag)

    states = {(ti.task_id, ti.map_index): str(ti.state) for ti in finished.dag_run.get_task_instances()}
    assert states["with_recharge.on", 1] == "failed"
    assert states["with_recharge.back", 0] == states["with_recharge.back", 1] == "success"
    assert stored(account) == FOUND
    assert stored(other_account) == (False, 7, 35)
    assert (flags(), notes()) == ([], {})


def test_mapped_setups_are_not_restored_by_one_task(account):
    with new_dag("mapped_setup") as dag:
        on = AutoRechargeOperator.partial(task_id="on", amount=100).expand(threshold=[20])
        AutoRechargeOperator(task_id="back", restore=on.output)

    finished = run(dag)

    assert finished.task_state("back") == "failed"


@pytest.mark.parametrize("rule", ["all_done", "all_success"])
def test_pair_of_ordinary_tasks_restores_too(account, rule):
    with new_dag("ordinary") as dag:
        on = AutoRechargeOperator(task_id="on", threshold=20, amount=100)
        back = AutoRechargeOperator(task_id="back", restore=on.output, trigger_rule=rule)
        on >> task(task_id="job")(lambda: None)() >> back

    assert run(dag).state == "success"
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def test_literal_settings_are_restored(account):
    before = {"before": {"enabled": True, "threshold": 11, "amount": 22}}
    with new_dag("as_such") as dag:
        AutoRechargeOperator(task_id="literal", restore=before)

    assert run(dag).state == "success"
    assert stored(account) == (True, 11, 22)
    assert (flags(), notes()) == ([], {})


def test_task_that_nobody_restores_leaves_no_note(account):
    with new_dag("alone") as dag:
        AutoRechargeOperator(task_id="on", threshold=20, amount=100)

    assert run(dag).state == "success"
    assert stored(account) == SET
    assert (flags(), notes()) == ([], {})
