"""What ends a hold, in whole DAG runs."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import task

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import notes_in_database
from tests.support.holding_dags import QUICK, fail, flags, gate_of, job_of
from tests.support.recharge import mark_failed

pytestmark = [pytest.mark.usefixtures("holding_account"), needs_listed_variables]


def test_success_releases_and_all_of_it_settles():
    seen = []
    with new_dag("success") as dag, gate_of().held():
        job_of(lambda: seen.extend(flags()))

    finished = run(dag)

    assert finished.state == "success"
    assert seen == [(Kind.HELD, 12)]
    assert flags() == [(Kind.RELEASED, 12)]
    assert finished.result("credits_release") == {"released": 12, "counted": 12, "holds": 1}
    assert [(note["credits"], note["spent"], note["released_by"]) for note in notes_in_database()] == [
        (12, None, "task credits_release")
    ]


def test_operator_that_buys_is_released_too():
    with new_dag("ensure") as dag:
        gate = EnsureCreditsOperator(task_id="credits", credits=12, hold=True)
        with gate.held(spent=2):
            job_of(pre_execute=gate.require_hold())

    finished = run(dag)

    assert finished.state == "success"
    assert finished.result("credits_release") == {"released": 12, "counted": 2, "holds": 1}
    assert flags() == [(Kind.RELEASED, 2)]


def test_failed_job_releases_and_fails_the_run():
    with new_dag("job_fails") as dag, gate_of().held():
        job_of(fail) >> job_of(task_id="second")

    finished = run(dag)

    assert finished.state == "failed"
    assert finished.task_state("second") == "upstream_failed"
    assert finished.task_state("credits_release") == "success"
    assert flags() == [(Kind.RELEASED, 12)]


def test_gate_that_fails_has_nothing_to_release():
    with new_dag("gate_fails") as dag, gate_of(1000, timeout=0.3).held():
        job_of()

    finished = run(dag)

    assert finished.state == "failed"
    assert finished.task_state("job") == "upstream_failed"
    assert finished.task_state("credits_release") == "success"
    assert finished.result("credits_release") == {"released": 0, "counted": 0, "holds": 0}
    assert flags() == []
    assert notes_in_database() == []


class DiesAfterHold(CreditThresholdSensor):
    def execute(self, context: Any) -> Any:
        super().execute(context)
        raise RuntimeError("the worker died")


def test_gate_that_fails_after_it_held_is_released():
    with new_dag("dies") as dag:
        gate = DiesAfterHold(task_id="credits", threshold=12, **QUICK)
        with gate.held():
            job_of()

    finished = run(dag)

    assert finished.state == "failed"
    assert finished.result("credits_release") == {"released": 12, "counted": 12, "holds": 1}
    assert flags() == [(Kind.RELEASED, 12)]


def test_run_that_a_person_marks_failed_releases():
    def mark_run_failed() -> None:
        from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.sdk import get_current_context

        ti = get_current_context()["ti"]
        stored = SerializedDagModel.get_dag(ti.dag_id)
        set_dag_run_state_to_failed(dag=stored, run_id=ti.run_id, commit=True)
        fail()

    with new_dag("marked") as dag, gate_of().held():
        job_of(mark_run_failed) >> job_of(task_id="second")

    finished = run(dag)

    assert finished.task_state("second") == "skipped"
    assert finished.task_state("credits_release") == "success"
    assert flags() == [(Kind.RELEASED, 12)]


def test_gate_that_a_person_marks_failed_during_the_job_is_released():
    with new_dag("marked_gate") as dag, gate_of().held():
        job_of(lambda: mark_failed("credits"))

    assert run(dag).task_state("credits_release") == "success"
    assert flags() == [(Kind.RELEASED, 12)]


class TestSpent:
    @pytest.mark.parametrize("spent", [5, "5.0", 0, 40])
    def test_what_was_spent_counts_and_the_rest_is_free(self, spent):
        with new_dag("spent") as dag:
            gate = gate_of()
            job = job_of(lambda: spent)
            gate >> job >> gate.held(spent=job)

        finished = run(dag)

        assert finished.state == "success"
        assert finished.result("credits_release") == {"released": 12, "counted": float(spent), "holds": 1}
        assert flags() == [(Kind.RELEASED, float(spent))]
        assert [note["spent"] for note in notes_in_database()] == [float(spent)]

    def test_template_inside_of_the_with_is_rendered(self):
        with new_dag("template") as dag, gate_of().held(spent="{{ ti.xcom_pull('job')['credits'] }}"):
            job_of(lambda: {"credits": 7})

        assert run(dag).state == "success"
        assert flags() == [(Kind.RELEASED, 7)]

    @pytest.mark.parametrize(
        "template",
        [
            "{{ ti.xcom_pull('job') }}",
            "{{ ti.xcom_pull('job')['credits'] }}",
            "{{ ti.xcom_pull('job') * 2 }}",
            "{{ ti.xcom_pull('job') or '' }}",
        ],
    )
    def test_everything_counts_if_the_job_left_no_result(self, template):
        with new_dag("missing") as dag, gate_of().held(spent=template):
            job_of(fail)

        finished = run(dag)

        assert finished.task_state("credits_release") == "success"
        assert flags() == [(Kind.RELEASED, 12)]

    @pytest.mark.parametrize("key", [None, "credits"])
    def test_everything_counts_if_the_job_left_no_output(self, key):
        with new_dag("no_output") as dag:
            gate = gate_of()
            job = job_of(fail)
            gate >> job >> gate.held(spent=job if key is None else job[key])

        finished = run(dag)

        assert finished.state == "failed"
        assert finished.task_state("credits_release") == "success"
        assert flags() == [(Kind.RELEASED, 12)]

    @pytest.mark.parametrize("spent", ["many", -1, [5, 6], {"credits": 5}, True, "nan"])
    def test_wrong_figure_fails_the_release_after_its_effect(self, spent):
        errors = []
        with new_dag("wrong") as dag:
            gate = gate_of()
            job = job_of(lambda: spent)
            release = gate.held(spent=job, on_failure_callback=lambda context: errors.append(context["exception"]))
            gate >> job >> release

        finished = run(dag)

        assert finished.task_state("credits_release") == "failed"
        assert finished.tries("credits_release") == 1
        assert finished.state == "success"
        assert str(errors[0]).startswith(f"spent is {spent!r}; it must be a number of credits")
        assert flags() == [(Kind.RELEASED, 12)]
        assert [note["spent"] for note in notes_in_database()] == [None]

    def test_mapped_jobs_do_not_say_what_they_spent_together(self):
        """A job that failed is missing in the list, so its sum would free too much."""
        with new_dag("mapped_jobs") as dag:
            gate = gate_of()
            job = task(task_id="job")(lambda credits: credits).expand(credits=[2, 3])
            gate >> job >> gate.held(spent=job)

        assert run(dag).task_state("credits_release") == "failed"
        assert flags() == [(Kind.RELEASED, 12)]
