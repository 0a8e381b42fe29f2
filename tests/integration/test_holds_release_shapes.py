"""Gates and releases in several shapes of DAG release each its own holds."""

from __future__ import annotations

import pytest
from airflow.sdk import task, task_group

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.holding_dags import QUICK, fail, flags, gate_of, job_of

pytestmark = [pytest.mark.usefixtures("holding_account"), needs_listed_variables]


def test_second_gate_extends_the_hold():
    seen = []
    with new_dag("extends") as dag:
        first, second = gate_of(), gate_of(30, task_id="more")
        with first.held():
            job = job_of(task_id="upload")
            with second.held(spent=4):
                job_of(lambda: seen.extend(flags()), task_id="index")
            job >> second

    assert run(dag).state == "success"
    assert seen == [(Kind.HELD, 12), (Kind.HELD, 30)]
    assert flags() == [(Kind.RELEASED, 4), (Kind.RELEASED, 12)]


def test_release_of_a_task_group_stays_in_it():
    with new_dag("groups") as dag:

        @task_group
        def outer() -> None:
            @task_group
            def inner() -> None:
                with gate_of().held():
                    job_of()

            inner()

        outer()

    finished = run(dag)

    assert set(dag.task_ids) == {"outer.inner.credits", "outer.inner.job", "outer.inner.credits_release"}
    assert finished.result("outer.inner.credits_release")["released"] == 12
    assert flags() == [(Kind.RELEASED, 12)]


def test_held_is_called_outside_of_the_group():
    with new_dag("outside") as dag:
        gates = []
        task_group(group_id="group")(lambda: gates.append(gate_of()))()
        with gates[0].held():
            job_of()

    assert "group.credits_release" in dag.task_ids
    assert run(dag).state == "success"
    assert flags() == [(Kind.RELEASED, 12)]


def test_mapped_groups_release_each_its_own_hold():
    seen = []

    def look() -> None:
        seen.append(flags())
        if len(seen) == 2:
            fail()

    with new_dag("mapped_group") as dag:

        @task_group
        def each(credits: float) -> None:
            gate = gate_of(credits)
            job = job_of(look)
            gate >> job >> gate.held(spent=1)

        each.expand(credits=[10, 20, 30])

    finished = run(dag)

    assert finished.state == "failed"
    results = {
        ti.map_index: ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
        for ti in finished.dag_run.get_task_instances()
        if ti.task_id == "each.credits_release"
    }
    assert results == {
        index: {"released": credits, "counted": 1, "holds": 1} for index, credits in enumerate([10, 20, 30])
    }
    assert flags() == [(Kind.RELEASED, 1)] * 3


def test_mapped_gate_is_released_by_one_task():
    with new_dag("mapped_gate") as dag:
        gate = CreditThresholdSensor.partial(task_id="credits", **QUICK).expand(threshold=[10, 20])
        release = ReleaseCreditsOperator(task_id="release", gate=gate)
        gate >> job_of(fail) >> release.as_teardown(setups=gate)

    finished = run(dag)

    assert finished.state == "failed"
    assert finished.result("release") == {"released": 30, "counted": 30, "holds": 2}
    assert flags() == [(Kind.RELEASED, 10), (Kind.RELEASED, 20)]


def test_mapped_release_of_a_gate_outside_releases_nothing():
    with new_dag("mapped_release") as dag:
        gate = gate_of()

        @task_group
        def each(number: int) -> None:
            job_of() >> ReleaseCreditsOperator(task_id="release", gate=gate)

        each.expand(number=[1, 2])

    finished = run(dag)

    assert finished.task_state("each.release") == "failed"
    assert flags() == [(Kind.HELD, 12)]


@pytest.mark.parametrize("by_id", [True, False])
def test_mapped_release_of_a_mapped_gate_pairs_their_indexes(by_id):
    with new_dag("pairs") as dag:
        gate = CreditThresholdSensor.partial(task_id="credits", **QUICK).expand(threshold=[10, 20])
        job = task(task_id="job")(lambda spent: spent).expand(spent=[1, 2])
        mapped = ReleaseCreditsOperator.partial(task_id="release", gate="credits" if by_id else gate)
        gate >> job >> mapped.expand(spent=job)

    assert run(dag).state == "success"
    assert flags() == [(Kind.RELEASED, 1), (Kind.RELEASED, 2)]


@pytest.mark.parametrize("name", ["id", "output", "operator"])
def test_ordinary_release_follows_the_gate(name):
    with new_dag("ordinary") as dag:
        gate = gate_of()
        given = {"id": "credits", "output": gate.output, "operator": gate}[name]
        release = ReleaseCreditsOperator(task_id="release", gate=given)
        if name == "id":
            gate >> release

    assert release.upstream_task_ids == {"credits"}
    assert run(dag).state == "success"
    assert flags() == [(Kind.RELEASED, 12)]


def test_unknown_gate_fails_the_release():
    with new_dag("unknown") as dag:
        ReleaseCreditsOperator(task_id="release", gate="credit")

    assert run(dag).task_state("release") == "failed"


def test_audit_has_nothing_to_release():
    ran = []
    with new_dag("audit") as dag:
        gate = gate_of(hold="audit")
        with gate.held():
            job_of(lambda: ran.append(1), pre_execute=gate.require_hold())

    finished = run(dag)

    assert finished.state == "success"
    assert finished.result("credits_release") == {"released": 0, "counted": 0, "holds": 0}
    assert ran == [1]
    assert flags() == []
