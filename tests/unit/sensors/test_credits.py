"""The sensor as a DAG author sees it: arguments, deferral, and how it ends."""

from __future__ import annotations

import inspect
import re
import time
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_videodb.exceptions import VideoDBAuthenticationError, VideoDBConfigError, VideoDBError
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.version_compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from tests.support.compat import needs_never_fail_after_a_wait
from tests.support.dag_runs import new_dag, run

USAGE_OF_THREE = {"credit_balance": 3, "usage_this_month": 0, "breakdown": {}}
RESULT_OF_THREE = USAGE_OF_THREE | {"held": 0, "balance": 3, "available": 3}
MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


def sensor(mode: str = "deferrable", **arguments: Any) -> CreditThresholdSensor:
    usual = {"task_id": "gate", "threshold": 10, "poke_interval": 0.01, "timeout": 5, "respect_holds": False}
    return CreditThresholdSensor(**usual | MODES[mode] | arguments)


def context() -> Any:
    ti = SimpleNamespace(try_number=1, get_first_reschedule_date=lambda _: None)
    return {"ti": ti, "task_state_store": None}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("threshold", value) for value in (float("nan"), float("inf"), "nan", "-inf", -1, "-0.1", "lots", "", None)),
        *(("threshold", value) for value in (True, [10], 2**53, "1e400")),
        *(("max_consecutive_failures", value) for value in (0, -1, 1.5, "many", None, True)),
    ],
)
def test_wrong_argument_is_refused_before_a_request(emulator, mode, argument, value):
    with pytest.raises(VideoDBConfigError, match=argument):
        sensor(mode, **{argument: value}).execute(context())

    assert emulator.calls() == []


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("threshold", value) for value in (-5, -0.1, float("nan"), True, "lots", "-5", "", Decimal(-1))),
        *(("max_consecutive_failures", value) for value in (0, -1, 1.5, True, "many")),
        *((flag, value) for flag in ("deferrable", "start_from_trigger", "end_from_trigger") for value in ("False", 1)),
        *(("poke_interval", value) for value in (-1, "soon")),
    ],
)
def test_wrong_literal_fails_when_the_dag_is_parsed(argument, value):
    # Airflow 3.1 raises its own exception for its own argument.
    with pytest.raises((ValueError, AirflowException), match=argument):
        sensor(**{argument: value})


@pytest.mark.parametrize(
    "threshold", [0, 0.5, "100.1", " 3 ", Decimal("0.1"), "{{ params.needed }}", "{% if a %}{% endif %}"]
)
def test_right_literal_and_template_pass_the_parse(threshold):
    assert sensor(threshold=threshold).threshold == threshold


def test_docstring_names_every_argument_of_the_constructor():
    documented = set(re.findall(r":param (\w+):", CreditThresholdSensor.__doc__ or ""))
    parameters = inspect.signature(CreditThresholdSensor.__init__).parameters

    assert {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY} == documented


@pytest.mark.parametrize(
    ("given", "seen"),
    [({}, 60.0), ({"default_args": {"poke_interval": 7}}, 7.0), ({"poke_interval": timedelta(seconds=8)}, 8.0)],
)
def test_arguments_of_airflows_own_sensor_arrive(given, seen):
    gate = CreditThresholdSensor(task_id="gate", threshold=1, exponential_backoff=True, max_wait=9, **given)

    assert gate.poke_interval == seen
    assert (gate.timeout, gate.exponential_backoff, gate.max_wait) == (604800, True, timedelta(seconds=9))


class Subclass(CreditThresholdSensor):
    """Adds a template field as users do: it is set after the base class is made."""

    template_fields = (*CreditThresholdSensor.template_fields, "note")

    def __init__(self, *, note: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.note = note


def test_subclass_that_adds_a_template_field_works(airflow_db, emulator):
    with new_dag("subclass") as dag:
        Subclass(task_id="gate", threshold=1, note="{{ 1 + 1 }}", start_from_trigger=True)
        Subclass.partial(task_id="mapped", threshold=1, start_from_trigger=True).expand(note=["a", "{{ 'b' }}"])

    assert run(dag).state == "success"


def test_task_with_enough_credits_needs_no_trigger(emulator):
    assert sensor(threshold=3).execute(context()) == RESULT_OF_THREE
    assert len(emulator.calls()) == 1


def test_task_polls_once_and_then_defers(emulator):
    before = time.time()
    gate = sensor(threshold="3.5", poke_interval=7, timeout=100, soft_fail=True, max_consecutive_failures=2)

    with pytest.raises(TaskDeferred) as deferred:
        gate.execute(context())

    kwargs = deferred.value.trigger.serialize()[1]
    deadline = kwargs.pop("deadline")
    assert before + 100 <= deadline <= time.time() + 100
    assert kwargs == {
        "format": 1,
        "threshold": "3.5",
        "videodb_conn_id": "videodb_default",
        "poll_interval": 7,
        "max_consecutive_failures": 2,
        "pause": None,
        "timeout": 100.0,
        "end_from_trigger": False,
        "soft_fail": True,
    }
    assert deferred.value.method_name == "execute_complete"
    # Airflow's own deadline is for a triggerer that no longer runs.
    assert deferred.value.timeout > timedelta(seconds=100 + 7)
    assert len(emulator.calls()) == 1


def test_first_poll_that_fails_does_not_keep_the_task_from_deferring(emulator):
    emulator.add_fault("status", status=503)

    with pytest.raises(TaskDeferred):
        sensor().execute(context())

    assert len(emulator.calls()) == 1


def resumed(gate: CreditThresholdSensor, event: Any) -> Any:
    return gate.resume_execution("execute_complete", {"event": event}, context())


def test_task_returns_the_usage_that_the_trigger_read():
    event = {"status": "enough", "usage": USAGE_OF_THREE, "available": 3}

    assert resumed(sensor(), event) == RESULT_OF_THREE


def test_task_that_ended_in_the_triggerer_polls_again_where_the_event_is_lost(emulator):
    # A real triggerer ends the task itself, dag.test() does not.
    assert resumed(sensor(threshold=3, end_from_trigger=True), "success") == RESULT_OF_THREE
    with pytest.raises(AirflowSkipException):
        resumed(sensor(soft_fail=True, end_from_trigger=True), "skipped")


TIMEOUT = {"status": "timeout", "usage": USAGE_OF_THREE}
NEVER_SEEN = {"status": "timeout", "usage": None}
REFUSED = {"status": "error", "error": "VideoDBAuthenticationError", "message": "401: put a valid key there"}


@pytest.mark.parametrize(
    ("event", "soft_fail", "raised", "words"),
    [
        (TIMEOUT, False, AirflowSensorTimeout, r"did not reach 10 credits within .*last balance was 3 credits\. Next"),
        (NEVER_SEEN, False, AirflowSensorTimeout, r"\(timeout\)\. Next step: top up"),
        (TIMEOUT, True, AirflowSkipException, "soft_fail|did not reach"),
        (REFUSED, False, VideoDBAuthenticationError, "401: put a valid key there"),
        (REFUSED, True, VideoDBAuthenticationError, "401: put a valid key there"),
        ({"status": "enough"}, True, VideoDBError, "not an event that this task expects"),
        ({"status": "what"}, True, VideoDBError, "not an event that this task expects"),
        (None, True, VideoDBError, "not an event that this task expects"),
        ("success", True, VideoDBError, "not an event that this task expects"),
    ],
)
def test_event_that_is_not_a_success_raises(event, soft_fail, raised, words):
    with pytest.raises(raised, match=words):
        resumed(sensor(timeout=60, soft_fail=soft_fail), event)


@pytest.mark.parametrize(
    ("arguments", "reason", "raised"),
    [
        ({}, "Trigger timeout", AirflowSensorTimeout),
        ({"soft_fail": True}, "Trigger timeout", AirflowSkipException),
        ({}, "Trigger failure", TaskDeferralError),
        ({"soft_fail": True}, "Trigger failure", TaskDeferralError),
        pytest.param(
            {"never_fail": True}, "Trigger failure", AirflowSkipException, marks=needs_never_fail_after_a_wait
        ),
    ],
)
def test_soft_fail_skips_only_for_a_timeout_of_airflow(arguments, reason, raised):
    with pytest.raises(raised):
        sensor(**arguments).resume_execution("__fail__", {"error": reason, "traceback": ["a line"]}, context())


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_sensor_without_a_triggerer_does_not_start_there(mode):
    gate = sensor(mode, start_from_trigger=True, end_from_trigger=True)

    assert not gate.start_from_trigger
    assert gate.start_trigger_args is None


def test_two_tasks_start_two_different_triggers():
    first = sensor(task_id="first", threshold=1, start_from_trigger=True)
    second = sensor(task_id="second", threshold=2, start_from_trigger=True, timeout=7)

    assert first.start_trigger_args.trigger_kwargs["threshold"] == "1"
    assert second.start_trigger_args.trigger_kwargs["threshold"] == "2"
    assert first.start_trigger_args.timeout != second.start_trigger_args.timeout
    assert CreditThresholdSensor.start_trigger_args is None
