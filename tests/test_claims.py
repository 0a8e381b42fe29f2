"""Claims on checkouts, in real Airflow Variables."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.dag_runs import new_dag, run


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.claims._CLAIM_SETTLING", 0.01)


def seen_by_tasks(airflow_db: None, *steps: Any) -> list[Any]:
    """Let each step run as a task of its own, and return what they saw."""
    from airflow.sdk import task

    with new_dag("claims") as dag:
        tasks = [task(task_id=f"step_{number}")(step)() for number, step in enumerate(steps)]
        for earlier, later in itertools.pairwise(tasks):
            earlier >> later
    done = run(dag)
    assert done.state == "success"
    return [done.result(f"step_{number}") for number in range(len(steps))]


def claims() -> Any:
    from airflow_provider_videodb.claims import VariableClaims

    return VariableClaims()


def test_who_comes_first_has_it(airflow_db: None) -> None:
    assert seen_by_tasks(
        airflow_db,
        lambda: claims().owner("cs_1"),
        lambda: claims().claim("cs_1", "a"),
        lambda: claims().claim("cs_1", "b"),
        lambda: claims().claim("cs_1", "a"),
        lambda: claims().owner("cs_1"),
    ) == [None, True, False, True, "a"]


def test_what_is_taken_from_the_list_is_claimed_as_well(airflow_db: None, short_waits: None) -> None:
    assert seen_by_tasks(
        airflow_db,
        lambda: claims().take("cs_2", "a"),
        lambda: claims().take("cs_2", "b"),
        lambda: claims().take("cs_2", "a"),
        lambda: claims().owner("cs_2"),
    ) == [True, False, True, "a"]


def test_of_two_that_take_it_at_once_the_last_to_write_has_it(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both() -> list[bool]:
        from airflow.sdk import Variable

        from airflow_provider_videodb.claims import claim_variable

        def other_writes(_seconds: float) -> None:
            Variable.set(claim_variable("cs_3"), "b")

        monkeypatch.setattr("airflow_provider_videodb.claims.time", SimpleNamespace(sleep=other_writes))
        return [bool(claims().take("cs_3", "a")), claims().owner("cs_3") == "b"]

    assert seen_by_tasks(airflow_db, both) == [[False, True]]
