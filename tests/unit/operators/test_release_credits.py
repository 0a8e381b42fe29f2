"""How a release is written in a DAG file, and how its template is rendered."""

from __future__ import annotations

import inspect
import logging
import re
from typing import Any

import pytest
from airflow.sdk import TriggerRule, task

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.operators import release_credits
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag

LOG = "tests.release_credits"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(ReleaseCreditsOperator, "log", logging.getLogger(LOG))
    caplog.set_level(logging.INFO, LOG)
    return caplog


@pytest.mark.parametrize("gate", [None, "", 5, [], " "])
def test_gate_has_a_task_id(gate):
    with pytest.raises(VideoDBConfigError, match=r"^gate is .*; it must be"):
        ReleaseCreditsOperator(task_id="release", gate=gate)


@pytest.mark.parametrize("spent", [-1, "much", "", True, [5]])
def test_wrong_literal_fails_at_parse_time(spent):
    with pytest.raises(VideoDBConfigError, match=r"^spent is .*; it must be"):
        ReleaseCreditsOperator(task_id="release", gate="credits", spent=spent)


def test_release_needs_an_airflow_that_lists_variables(monkeypatch):
    monkeypatch.setattr(release_credits, "VARIABLES_CAN_BE_LISTED", False)
    with pytest.raises(VideoDBConfigError, match=r"needs Airflow 3\.3.* Nothing was held\. Next step: upgrade"):
        ReleaseCreditsOperator(task_id="release", gate="credits")


@needs_listed_variables
class TestGate:
    def test_gate_and_its_output_come_before_the_release(self):
        with new_dag("parsed"):
            gate = CreditThresholdSensor(task_id="credits", threshold=5, hold=True)
            by_operator = ReleaseCreditsOperator(task_id="a", gate=gate)
            by_output = ReleaseCreditsOperator(task_id="b", gate=gate.output)
            by_id = ReleaseCreditsOperator(task_id="c", gate="credits")

        assert {by_operator.gate, by_output.gate, by_id.gate} == {"credits"}
        assert by_operator.upstream_task_ids == by_output.upstream_task_ids == {"credits"}
        assert by_id.upstream_task_ids == set()

    def test_mapped_gate_comes_before_the_release(self):
        with new_dag("parsed"):
            gate = CreditThresholdSensor.partial(task_id="credits", hold=True).expand(threshold=[5, 6])
            release = ReleaseCreditsOperator(task_id="a", gate=gate)

        assert release.gate == "credits"
        assert release.upstream_task_ids == {"credits"}

    def test_output_of_the_job_comes_before_the_release(self):
        with new_dag("parsed"):
            job = task(task_id="job")(lambda: 5)()
            release = ReleaseCreditsOperator(task_id="a", gate="credits", spent=job)

        assert release.upstream_task_ids == {"job"}

    def test_teardown_runs_whatever_happened_before(self):
        with new_dag("parsed"):
            gate = CreditThresholdSensor(task_id="credits", threshold=5, hold=True)
            release = ReleaseCreditsOperator(task_id="a", gate="credits").as_teardown(setups=gate)

        assert release.is_teardown
        assert gate.is_setup
        assert release.trigger_rule == TriggerRule.ALL_DONE
        assert not release.on_failure_fail_dagrun
        assert ReleaseCreditsOperator(task_id="b", gate="credits").trigger_rule == TriggerRule.ALL_SUCCESS

    def test_teardown_may_fail_the_run(self):
        with new_dag("parsed"):
            release = ReleaseCreditsOperator(task_id="a", gate="credits").as_teardown(on_failure_fail_dagrun=True)

        assert release.on_failure_fail_dagrun


def rendered(spent: Any, **context: Any) -> ReleaseCreditsOperator:
    with new_dag("parsed"):
        release = ReleaseCreditsOperator(task_id="release", gate="credits", spent=spent)
    release.render_template_fields(context)
    return release


@needs_listed_variables
class TestRendering:
    def test_template_is_rendered(self):
        assert rendered("{{ x }}", x=5).spent == "5"
        assert rendered(5).spent == 5

    def test_function_is_called(self):
        assert rendered(lambda context, jinja_env: context["x"], x=5).spent == 5

    @pytest.mark.parametrize("template", ["{{ x }}", "{{ 1 / 0 }}", "{{ x["])
    def test_broken_template_does_not_keep_the_credits(self, log, template):
        release = rendered(template)
        assert release.spent is None
        assert release.spent_is_given
        assert log.messages[0].startswith("spent cannot be rendered: ")

    def test_spent_that_is_left_out_is_not_given(self, log):
        assert not rendered(None).spent_is_given
        assert log.messages == []

    def test_templates_of_a_subclass_are_rendered_as_usual(self):
        class Reported(ReleaseCreditsOperator):
            template_fields = (*ReleaseCreditsOperator.template_fields, "report_to")

            def __init__(self, *, report_to: str, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.report_to = report_to

        with new_dag("parsed"):
            release = Reported(task_id="release", gate="credits", report_to="{{ y }}")
        release.render_template_fields({"y": "me"})
        assert release.report_to == "me"
        with new_dag("parsed"):
            broken = Reported(task_id="release", gate="credits", report_to="{{ y }}")
        with pytest.raises(Exception, match="'y' is undefined"):
            broken.render_template_fields({})


def test_documented_arguments_match_the_signature():
    entries = re.split(r"^ *:param ", ReleaseCreditsOperator.__doc__ or "", flags=re.MULTILINE)[1:]
    found = inspect.signature(ReleaseCreditsOperator.__init__).parameters.values()
    own = {one.name for one in found if one.kind is inspect.Parameter.KEYWORD_ONLY}
    assert {entry.split(":")[0] for entry in entries} == own == {"gate", "spent"}
    assert {entry.split(":")[0] for entry in entries if "(templated)" in entry} == {"spent"}
