"""A job whose gate holds nothing does not run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, task, task_group

from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import notes_in_database
from tests.support.holding_dags import flags, gate_of, job_of
from tests.support.recharge import clear, once
from tests.support.recorded import forget_records

pytestmark = [pytest.mark.usefixtures("holding_account"), needs_listed_variables]


def test_job_runs_while_its_gate_holds():
    ran = []
    with new_dag("required") as dag:
        gate = gate_of()
        with gate.held():
            job_of(lambda: ran.append(1), pre_execute=gate.require_hold())

    assert run(dag).state == "success"
    assert ran == [1]


def test_job_cleared_alone_does_not_run():
    ran, errors = [], []
    with new_dag("cleared") as dag:
        gate = gate_of()
        release = gate.held()
        with release:
            job_of(
                lambda: ran.append(1),
                pre_execute=gate.require_hold(),
                retries=2,
                retry_delay=timedelta(0),
                on_failure_callback=lambda context: errors.append(context["exception"]),
            )
        release >> job_of(once(lambda: clear("job")), task_id="afterwards")

    finished = run(dag)

    assert ran == [1]
    assert finished.task_state("job") == "failed"
    assert finished.tries("job") == 2
    assert "Next step: put this task after task 'credits', or clear both together." in str(errors[0])


def test_job_cleared_with_its_gate_runs_with_a_new_hold():
    ran = []
    with new_dag("cleared_together") as dag:
        gate = gate_of()
        release = gate.held(spent=1)
        with release:
            job_of(lambda: ran.append(flags()), pre_execute=gate.require_hold())
        again = once(lambda: clear("credits", "job", "credits_release"))
        release >> job_of(again, task_id="afterwards")

    assert run(dag).state == "success"
    assert ran == [[(Kind.HELD, 12)], [(Kind.HELD, 12), (Kind.RELEASED, 1)]]
    assert flags() == [(Kind.RELEASED, 1), (Kind.RELEASED, 1)]
    assert len(notes_in_database()) == 2


def test_clear_of_the_job_takes_gate_and_release_along():
    """This is what Airflow's page clears, unless somebody chooses failed tasks only."""
    with new_dag("subset") as dag, gate_of().held():
        job_of()

    assert set(dag.partial_subset("job", include_downstream=True).task_ids) == {
        "credits",
        "job",
        "credits_release",
    }


def test_mapped_job_needs_the_hold_of_its_own_index():
    with new_dag("own_index") as dag:

        @task_group
        def each(credits: float) -> None:
            gate = gate_of(credits, timeout=0.3)
            gate >> job_of(pre_execute=gate.require_hold(), trigger_rule="all_done")

        each.expand(credits=[10, 1000])

    finished = run(dag)

    states = {ti.map_index: str(ti.state) for ti in finished.dag_run.get_task_instances() if ti.task_id == "each.job"}
    assert states == {0: "success", 1: "failed"}


@pytest.mark.parametrize("loses_hold", [False, True])
def test_deferred_job_that_resumes_runs_on(loses_hold):
    resumed = []

    class Deferred(BaseOperator):
        def execute(self, context: Any) -> None:
            if loses_hold:
                forget_records()
            self.defer(trigger=TimeDeltaTrigger(timedelta(0)), method_name="resume")

        def resume(self, context: Any, event: Any = None) -> None:
            resumed.append(flags())

    with new_dag("resumes") as dag:
        gate = gate_of()
        with gate.held():
            Deferred(task_id="job", pre_execute=gate.require_hold())

    assert run(dag).state == "success"
    assert resumed == [[] if loses_hold else [(Kind.HELD, 12)]]


def test_mapped_jobs_share_the_hold_of_one_gate():
    with new_dag("shared") as dag:
        gate = gate_of()
        with gate.held():
            task(task_id="job", pre_execute=gate.require_hold())(lambda number: number).expand(number=[1, 2])

    assert run(dag).state == "success"
