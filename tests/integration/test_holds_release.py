"""What ends a hold, in whole DAG runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, task, task_group

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import flags_in_database, forget_holds, notes_in_database
from tests.support.recharge import clear, mark_failed, once

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.usefixtures("airflow_db"), needs_listed_variables]


def gate_of(credits: float = 12, task_id: str = "credits", **arguments: Any) -> CreditThresholdSensor:
    usual: dict[str, Any] = {"hold": True, "deferrable": False, "poke_interval": 0.1, "timeout": 3}
    return CreditThresholdSensor(task_id=task_id, threshold=credits, **usual | arguments)


def job_of(work: Callable[[], object] = lambda: None, task_id: str = "job", **arguments: Any) -> Any:
    return task(task_id=task_id, **arguments)(work)()


def flags() -> list[tuple[Kind, float]]:
    return sorted((flag.kind, float(flag.credits)) for flag in flags_in_database())


def fail() -> None:
    raise RuntimeError("the job failed")


@pytest.fixture(autouse=True)
def account(emulator: Any) -> Any:
    emulator.set_balance(150)
    return emulator


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
        gate = DiesAfterHold(task_id="credits", threshold=12, hold=True, deferrable=False, poke_interval=0.1)
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
        assert str(errors[0]).startswith(f"spent is {str(spent)!r}; it must be a number of credits")
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


class TestShapes:
    def test_second_gate_extends_the_hold(self):
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

    def test_release_of_a_task_group_stays_in_it(self):
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

    def test_held_is_called_outside_of_the_group(self):
        with new_dag("outside") as dag:
            gates = []
            task_group(group_id="group")(lambda: gates.append(gate_of()))()
            with gates[0].held():
                job_of()

        assert "group.credits_release" in dag.task_ids
        assert run(dag).state == "success"
        assert flags() == [(Kind.RELEASED, 12)]

    def test_mapped_groups_release_each_its_own_hold(self):
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

    def test_mapped_gate_is_released_by_one_task(self):
        with new_dag("mapped_gate") as dag:
            gate = CreditThresholdSensor.partial(
                task_id="credits", hold=True, deferrable=False, poke_interval=0.1, timeout=3
            ).expand(threshold=[10, 20])
            release = ReleaseCreditsOperator(task_id="release", gate=gate)
            gate >> job_of(fail) >> release.as_teardown(setups=gate)

        finished = run(dag)

        assert finished.state == "failed"
        assert finished.result("release") == {"released": 30, "counted": 30, "holds": 2}
        assert flags() == [(Kind.RELEASED, 10), (Kind.RELEASED, 20)]

    def test_mapped_release_of_a_gate_outside_releases_nothing(self):
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
    def test_mapped_release_of_a_mapped_gate_pairs_their_indexes(self, by_id):
        with new_dag("pairs") as dag:
            gate = CreditThresholdSensor.partial(
                task_id="credits", hold=True, deferrable=False, poke_interval=0.1, timeout=3
            ).expand(threshold=[10, 20])
            job = task(task_id="job")(lambda spent: spent).expand(spent=[1, 2])
            mapped = ReleaseCreditsOperator.partial(task_id="release", gate="credits" if by_id else gate)
            gate >> job >> mapped.expand(spent=job)

        assert run(dag).state == "success"
        assert flags() == [(Kind.RELEASED, 1), (Kind.RELEASED, 2)]

    @pytest.mark.parametrize("name", ["id", "output", "operator"])
    def test_ordinary_release_follows_the_gate(self, name):
        with new_dag("ordinary") as dag:
            gate = gate_of()
            given = {"id": "credits", "output": gate.output, "operator": gate}[name]
            release = ReleaseCreditsOperator(task_id="release", gate=given)
            if name == "id":
                gate >> release

        assert release.upstream_task_ids == {"credits"}
        assert run(dag).state == "success"
        assert flags() == [(Kind.RELEASED, 12)]

    def test_unknown_gate_fails_the_release(self):
        with new_dag("unknown") as dag:
            ReleaseCreditsOperator(task_id="release", gate="credit")

        assert run(dag).task_state("release") == "failed"

    def test_audit_has_nothing_to_release(self):
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


class TestRequiredHold:
    def test_job_runs_while_its_gate_holds(self):
        ran = []
        with new_dag("required") as dag:
            gate = gate_of()
            with gate.held():
                job_of(lambda: ran.append(1), pre_execute=gate.require_hold())

        assert run(dag).state == "success"
        assert ran == [1]

    def test_job_cleared_alone_does_not_run(self):
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
        assert "Next step: clear task 'credits' together with this task." in str(errors[0])

    def test_job_cleared_with_its_gate_runs_with_a_new_hold(self):
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

    def test_clear_of_the_job_takes_gate_and_release_along(self):
        """This is what Airflow's page clears, unless somebody chooses failed tasks only."""
        with new_dag("subset") as dag, gate_of().held():
            job_of()

        assert set(dag.partial_subset("job", include_downstream=True).task_ids) == {
            "credits",
            "job",
            "credits_release",
        }

    def test_mapped_job_needs_the_hold_of_its_own_index(self):
        with new_dag("own_index") as dag:

            @task_group
            def each(credits: float) -> None:
                gate = gate_of(credits, timeout=0.3)
                gate >> job_of(pre_execute=gate.require_hold(), trigger_rule="all_done")

            each.expand(credits=[10, 1000])

        finished = run(dag)

        states = {
            ti.map_index: str(ti.state) for ti in finished.dag_run.get_task_instances() if ti.task_id == "each.job"
        }
        assert states == {0: "success", 1: "failed"}

    @pytest.mark.parametrize("loses_hold", [False, True])
    def test_deferred_job_that_resumes_runs_on(self, loses_hold):
        resumed = []

        class Deferred(BaseOperator):
            def execute(self, context: Any) -> None:
                if loses_hold:
                    forget_holds()
                self.defer(trigger=TimeDeltaTrigger(timedelta(0)), method_name="resume")

            def resume(self, context: Any, event: Any = None) -> None:
                resumed.append(flags())

        with new_dag("resumes") as dag:
            gate = gate_of()
            with gate.held():
                Deferred(task_id="job", pre_execute=gate.require_hold())

        assert run(dag).state == "success"
        assert resumed == [[] if loses_hold else [(Kind.HELD, 12)]]

    def test_mapped_jobs_share_the_hold_of_one_gate(self):
        with new_dag("shared") as dag:
            gate = gate_of()
            with gate.held():
                task(task_id="job", pre_execute=gate.require_hold())(lambda number: number).expand(number=[1, 2])

        assert run(dag).state == "success"
