"""What a gate makes of `held()` and `require_hold()` when a DAG file is parsed."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from airflow.sdk import BaseOperator, task, task_group

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag

GATES = pytest.mark.parametrize("gate_class", [CreditThresholdSensor, EnsureCreditsOperator])


def gate_of(gate_class: type = CreditThresholdSensor, **arguments: Any) -> Any:
    name = "threshold" if gate_class is CreditThresholdSensor else "credits"
    return gate_class(**{"task_id": "credits", name: 12, "hold": True} | arguments)


def job_of(task_id: str) -> Any:
    return task(task_id=task_id)(lambda: None)()


def mapped_of(task_id: str) -> Any:
    return task(task_id=task_id)(lambda number: number).expand(number=[1, 2])


class Job(BaseOperator):
    def __init__(self, *, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number


@GATES
@pytest.mark.parametrize("method", ["held", "require_hold"])
def test_gate_without_a_hold_is_a_mistake(gate_class, method):
    with new_dag("parsed"):
        gate = gate_of(gate_class, hold=False)
        with pytest.raises(VideoDBConfigError, match=rf"^Task 'credits' holds no credits, so {method}\(\).* hold=True"):
            getattr(gate, method)()


@needs_listed_variables
class TestHeld:
    @GATES
    @pytest.mark.parametrize("hold", [True, "audit"])
    def test_gate_and_release_are_setup_and_teardown(self, gate_class, hold):
        with new_dag("parsed") as dag:
            gate = gate_of(gate_class, hold=hold)
            with gate.held() as jobs:
                first, second = (task(task_id=name)(lambda: None)() for name in ("first", "second"))
                first >> second
            assert jobs is not None

        release = dag.get_task("credits_release")
        assert isinstance(release, ReleaseCreditsOperator)
        assert gate.is_setup
        assert release.is_teardown
        assert gate.downstream_task_ids == {"first", "credits_release"}
        assert release.upstream_task_ids == {"second", "credits"}

    def test_second_release_of_a_gate_is_a_mistake(self):
        with new_dag("parsed"):
            gate = gate_of()
            gate.held()
            with pytest.raises(
                VideoDBConfigError, match=r"has the release 'credits_release' already.* Next step: put all"
            ):
                gate.held(task_id="other")

    def test_releases_of_two_gates_are_two(self):
        with new_dag("parsed") as dag:
            first, second = gate_of(), gate_of(task_id="more")
            first >> second
            first.held()
            second.held()

        assert {"credits_release", "more_release"} <= set(dag.task_ids)

    def test_release_is_retried_unless_its_author_says_otherwise(self):
        with new_dag("parsed", default_args={"retries": 7, "owner": "me"}):
            usual = gate_of().held()
            chosen = gate_of(task_id="more").held(retries=1, task_id="end", pool="slow")

        assert (usual.retries, usual.owner) == (3, "me")
        assert (chosen.retries, chosen.task_id, chosen.pool) == (1, "end", "slow")

    def test_release_belongs_to_the_group_of_its_gate(self):
        gates = []
        with new_dag("parsed") as dag:

            @task_group
            def outer() -> None:
                gates.append(gate_of())

            @task_group
            def other() -> None:
                gates[0].held()

            outer()
            other()

        assert set(dag.task_ids) == {"outer.credits", "outer.credits_release"}

    def test_group_without_prefix_adds_none(self):
        with new_dag("parsed") as dag:

            @task_group(prefix_group_id=False)
            def outer() -> None:
                gate_of().held()

            outer()

        assert set(dag.task_ids) == {"credits", "credits_release"}

    def test_gate_outside_of_a_dag_has_a_release_too(self):
        gate = gate_of()
        with new_dag("parsed") as dag:
            assert gate.held().upstream_task_ids == {"credits"}
        assert set(dag.task_ids) == {"credits", "credits_release"}

    def test_spent_reaches_the_release(self):
        with new_dag("parsed"):
            assert gate_of().held(spent="{{ params.x }}").spent == "{{ params.x }}"
            assert gate_of(task_id="more").held().spent is None


@needs_listed_variables
class TestBody:
    """All jobs in the body of the `with` run between the gate and its release."""

    def edges(self, write):
        with new_dag("parsed") as dag:
            gate = gate_of()
            with gate.held():
                write()
        release = dag.get_task("credits_release")
        behind = gate.get_flat_relative_ids(upstream=False)
        before = release.get_flat_relative_ids(upstream=True)
        jobs = set(dag.task_ids) - {"credits", "credits_release"}
        return jobs - behind, jobs - before

    def test_mapped_jobs_alone(self):
        assert self.edges(lambda: mapped_of("job")) == (set(), set())

    def test_mapped_jobs_of_a_classic_operator(self):
        assert self.edges(lambda: Job.partial(task_id="job").expand(number=[1, 2])) == (set(), set())

    def test_mapped_jobs_after_a_job(self):
        assert self.edges(lambda: job_of("first") >> mapped_of("job")) == (set(), set())

    def test_mapped_jobs_before_a_job(self):
        assert self.edges(lambda: mapped_of("job") >> job_of("last")) == (set(), set())

    def test_mapped_jobs_of_an_output(self):
        assert self.edges(lambda: task(task_id="job")(lambda number: number).expand(number=job_of("list"))) == (
            set(),
            set(),
        )

    def test_mapped_group(self):
        def write() -> None:
            @task_group
            def each(number: int) -> None:
                job_of("first") >> job_of("last")

            each.expand(number=[1, 2])

        assert self.edges(write) == (set(), set())

    def test_job_after_an_inner_hold(self):
        def write() -> None:
            job_of("first")
            with gate_of(task_id="more").held():
                mapped_of("inner")
            job_of("last")
            mapped_of("mapped")

        assert self.edges(write) == (set(), set())

    def test_inner_jobs_are_those_of_the_inner_gate(self):
        with new_dag("parsed") as dag, gate_of().held():
            with gate_of(task_id="more").held():
                mapped_of("inner")
            mapped_of("outer")

        assert dag.get_task("inner").upstream_task_ids == {"more"}
        assert dag.get_task("inner").downstream_task_ids == {"more_release"}
        assert dag.get_task("outer").upstream_task_ids == {"credits"}
        assert dag.get_task("outer").downstream_task_ids == {"credits_release"}

    def test_inner_hold_alone_adds_no_edges_to_its_jobs(self):
        with new_dag("parsed") as dag, gate_of().held(), gate_of(task_id="more").held():
            mapped_of("inner")

        assert dag.get_task("inner").upstream_task_ids == {"more"}
        assert dag.get_task("inner").downstream_task_ids == {"more_release"}

    def test_tasks_outside_of_the_body_are_left_alone(self):
        with new_dag("parsed") as dag:
            job_of("before")
            mapped_of("mapped_before")
            with gate_of().held():
                job_of("job")
            mapped_of("after")

        assert {name for name in dag.task_ids if not dag.get_task(name).upstream_task_ids} >= {
            "before",
            "mapped_before",
            "after",
        }
        assert dag.get_task("credits_release").upstream_task_ids == {"credits", "job"}


@needs_listed_variables
class TestRequireHold:
    @pytest.mark.parametrize(("hold", "is_audit"), [(True, False), ("audit", True)])
    def test_guard_can_be_pickled(self, hold, is_audit):
        with new_dag("parsed"):
            guard = pickle.loads(pickle.dumps(gate_of(hold=hold).require_hold()))

        assert (guard.gate, guard.is_audit) == ("credits", is_audit)

    def test_guard_names_the_gate_with_its_group(self):
        guards = []
        with new_dag("parsed"):
            task_group(group_id="outer")(lambda: guards.append(gate_of().require_hold()))()

        assert guards[0].gate == "outer.credits"
