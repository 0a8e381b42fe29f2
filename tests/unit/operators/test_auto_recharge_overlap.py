"""Pairs that overlap on one account leave it as the first one found it, in real DAG runs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from airflow.sdk import task

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.recharge import Pair, flags, notes, run_in_order, stored, writes

FOUND = (False, Decimal(5), Decimal(25))
SET = (True, Decimal(20), Decimal(100))
PERSON = (True, Decimal(33), Decimal(44))
CHANGED = "It is now on (threshold 33, amount 44 credits)."


def by_a_person(account):
    return lambda: account.set_auto_recharge(enabled=True, threshold=33, amount=44)


@needs_listed_variables
def test_crossing_pairs_leave_what_the_first_one_found(account, log):
    seen = []

    def look():
        seen.append(stored(account))

    finished = run_in_order(
        *("on_a", look, "on_b", look, "back_a", look, "back_b"), on_b={"threshold": 30, "amount": 50}
    )

    assert finished.state == "success"
    assert seen == [SET, (True, 30, 100), (True, 30, 50)]
    found = {"enabled": False, "threshold": 5, "amount": 25}
    assert [finished.result(task_id)["before"] for task_id in ("on_a", "on_b")] == [found, found]
    assert "1 other pipeline needs automatic recharge. The last one restores what was found." in log.messages
    assert "It was found off (threshold 5, amount 25 credits)." in log.messages
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


@needs_listed_variables
def test_change_while_pairs_overlap_is_left_alone_by_both(account, log):
    run_in_order("on_a", "on_b", by_a_person(account), "back_a", "back_b")

    assert stored(account) == PERSON
    assert "\n".join(log.messages).count(f"{CHANGED}\nThe task leaves it so.") == 2
    assert writes(account) == 1
    assert (flags(), notes()) == ([], {})


@needs_listed_variables
@pytest.mark.parametrize("ends", [("back_a", "back_b"), ("back_b", "back_a")])
def test_setup_after_a_change_makes_the_last_one_restore_that(account, ends):
    during = []
    steps = ("on_a", by_a_person(account), "on_b", lambda: during.append(stored(account)), *ends)

    run_in_order(*steps, on_b={"threshold": 30})

    assert during == [(True, 30, 100)]
    assert stored(account) == PERSON
    assert (flags(), notes()) == ([], {})


@needs_listed_variables
def test_pair_that_switches_off_waits_for_those_that_need_it(account, log):
    seen = []

    def look():
        seen.append(stored(account))

    off = {"enabled": False, "threshold": 1, "amount": 1}
    run_in_order("on_a", "on_b", look, "back_a", look, "back_b", on_b=off)

    assert seen == [SET, (False, 1, 1)]
    assert stored(account) == FOUND
    assert "1 other pipeline sets automatic recharge of this account as well." in log.messages
    assert "It stays on, because another pipeline needs it." in log.messages


@needs_listed_variables
def test_pipeline_that_ended_without_a_teardown_is_taken_down_by_the_next(account):
    with new_dag("dead") as dag:
        on = AutoRechargeOperator(task_id="on", threshold=40, amount=400).as_setup()
        on >> task(task_id="job")(lambda: None)()
    run(dag)
    assert stored(account) == (True, 40, 400)
    assert len(flags()) == 3
    during = []

    Pair(job=lambda: during.append((stored(account), {flag.split("/")[1] for flag in flags()})))

    (settings, holders) = during[0]
    assert settings == SET
    assert len(holders) == 1
    assert stored(account) == FOUND
    assert flags() == []


@needs_listed_variables
def test_note_of_an_older_version_is_restored_by_the_new_teardown(account, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_run.VARIABLES_CAN_BE_LISTED", False)
    seen = []

    def upgrade():
        seen.append((flags(), list(notes())))
        monkeypatch.setattr("airflow_provider_videodb.operators._recharge_run.VARIABLES_CAN_BE_LISTED", True)

    def look():
        seen.append(stored(account))

    run_in_order("on_a", upgrade, "on_b", look, "back_a", look, "back_b", on_b={"threshold": 30})

    assert seen == [([], ["on_a"]), (True, 30, 100), (True, 30, 100)]
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def test_pair_without_listings_restores_alone(account, log, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_run.VARIABLES_CAN_BE_LISTED", False)
    during = []

    pair = Pair(job=lambda: during.append((stored(account), flags(), list(notes()))))

    assert during == [(SET, [], ["on"])]
    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert notes() == {}


def test_pair_without_listings_leaves_an_outside_change_alone(account, log, monkeypatch):
    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_run.VARIABLES_CAN_BE_LISTED", False)

    Pair(job=by_a_person(account))

    assert f"{CHANGED}\nThe task leaves it so." in "\n".join(log.messages)
    assert stored(account) == PERSON
    assert notes() == {}
