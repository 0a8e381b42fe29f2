"""What Airflow says of those who hold or wait: a real one, one that fails, and one that says something odd."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.execution_time.comms import DRCount, OKResponse, TaskStatesResult

from airflow_provider_videodb.holds.airflow_runs import FINISHED, has_run_ended, has_task_finished, states_of
from airflow_provider_videodb.holds.identity import Identity
from tests.support.airflow_faults import REFUSALS
from tests.support.dag_runs import new_dag, run
from tests.support.holds import Task, World

WHO = Identity.of(Task(), settlement_ms=0)
MAPPED = Identity.of(Task(map_index=3), settlement_ms=0)


@pytest.mark.parametrize("fault", [*REFUSALS, OKResponse(ok=True)], ids=repr)
def test_nothing_is_over_if_airflow_does_not_say(world: World, fault: Any) -> None:
    world.airflow.fault = fault

    assert not has_run_ended(WHO)
    assert not has_task_finished(WHO)
    assert states_of(WHO, ["gate"]) is None


@pytest.mark.parametrize(("active", "has_ended"), [(0, True), (1, False), (2, False)])
def test_run_has_ended_if_none_is_active(world: World, active: int, has_ended: bool) -> None:
    world.airflow.fault = DRCount(count=active)

    assert has_run_ended(WHO) is has_ended


@pytest.mark.parametrize(
    ("states", "has_finished"),
    [
        ({}, False),
        ({"run": {}}, False),
        ({"run": {"gate": None}}, False),
        ({"run": {"gate": "running"}}, False),
        ({"run": {"gate": "success", "gate_1": "success"}}, False),
        ({"other": {"gate": "success"}}, False),
        *(({"run": {"gate": state}}, True) for state in sorted(FINISHED)),
    ],
)
def test_task_has_finished_if_its_only_state_says_so(
    world: World, states: dict[str, dict[str, str | None]], has_finished: bool
) -> None:
    world.airflow.fault = TaskStatesResult(task_states=states)

    assert has_task_finished(WHO) is has_finished


def test_mapped_task_is_asked_for_by_its_index(world: World) -> None:
    has_task_finished(MAPPED)
    has_task_finished(WHO)
    states_of(MAPPED, ["a", "b"])

    assert [(question.task_ids, question.map_index) for question in world.airflow.asked] == [
        (["gate"], 3),
        (["gate"], None),
        (["a"], None),
        (["b"], None),
    ]


def test_finished_states_are_those_of_airflow() -> None:
    from airflow.utils.state import State

    assert {str(state) for state in State.finished} == FINISHED


def test_real_airflow_tells_of_runs_and_tasks(airflow_db: None) -> None:
    """A run that runs, one that has ended, one that was deleted, and tasks in several states."""
    from airflow.sdk import task
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    said: dict[str, Any] = {}
    with new_dag("ended") as ended:
        task(task_id="gate")(lambda: None)()
    with new_dag("deleted") as deleted:
        task(task_id="gate")(lambda: None)()
    old, gone = (run(dag).dag_run for dag in (ended, deleted))
    with create_session() as session:
        session.execute(delete(type(gone)).where(type(gone).run_id == gone.run_id))

    def ask(number: int, ti: Any) -> None:
        def who(dag_id: str, run_id: str, task_id: str = "gate", map_index: int = -1) -> Identity:
            return Identity.of(
                Task(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index), settlement_ms=0
            )

        me = Identity.of(ti, settlement_ms=0)
        said[f"{number} own run"] = has_run_ended(me)
        said[f"{number} own task"] = has_task_finished(me)
        said[f"{number} first task"] = has_task_finished(who(ti.dag_id, ti.run_id, "first"))
        said[f"{number} last task"] = has_task_finished(who(ti.dag_id, ti.run_id, "last"))
        said[f"{number} absent index"] = has_task_finished(who(ti.dag_id, ti.run_id, "gate", 7))
        said[f"{number} behind"] = states_of(me, ["last", "more"])
        said[f"{number} ended run"] = has_run_ended(who("ended", old.run_id))
        said[f"{number} ended task"] = has_task_finished(who("ended", old.run_id))
        said[f"{number} deleted run"] = has_run_ended(who("deleted", gone.run_id))
        said[f"{number} deleted task"] = has_task_finished(who("deleted", gone.run_id))
        said[f"{number} deleted DAG"] = has_run_ended(who("nowhere", "run"))

    with new_dag("asks") as dag:
        first = task(task_id="first")(lambda: None)()
        gate = task(task_id="gate")(ask).expand(number=[0, 1])
        first >> gate >> task(task_id="last")(lambda: None)() >> task(task_id="more")(lambda: None)()
    assert run(dag).state == "success"

    assert said == {
        f"{number} {what}": answer
        for number in (0, 1)
        for what, answer in {
            "own run": False,
            "own task": False,
            "first task": True,
            "last task": False,
            "absent index": False,
            "behind": [None, None],
            "ended run": True,
            "ended task": True,
            "deleted run": True,
            "deleted task": False,
            "deleted DAG": True,
        }.items()
    }
