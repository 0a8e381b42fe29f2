"""The arguments of a sensor that holds credits, and what its trigger gets of them."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.sensors._trigger_arguments import trigger_arguments
from tests.support.compat import needs_listed_variables
from tests.support.sensors import sensor


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("hold", value) for value in ("yes", "True", 1, 0, None)),
        *(("respect_holds", value) for value in ("False", 1, None)),
        *(("priority", value) for value in ("1", 1.5, True, 10**9, -(10**9), None)),
    ],
)
def test_wrong_value_fails_when_the_dag_is_parsed(argument, value):
    with pytest.raises(VideoDBConfigError, match=argument):
        sensor(**{"hold": False, argument: value})


@needs_listed_variables
@pytest.mark.parametrize("hold", [True, "audit"])
def test_hold_needs_a_worker(hold):
    with pytest.raises(VideoDBConfigError, match=r"only a worker can hold credits\. Nothing was held\. Next step"):
        sensor(hold=hold, end_from_trigger=True)


@needs_listed_variables
def test_hold_cannot_ignore_the_holds_of_others():
    with pytest.raises(VideoDBConfigError, match=r"^hold is True together with respect_holds=False.*Next step: "):
        sensor(hold=True, respect_holds=False)
    assert sensor(hold="audit", respect_holds=False).hold == "audit"


@pytest.mark.parametrize("hold", [True, "audit"])
def test_hold_needs_airflow_3_3(monkeypatch, hold):
    monkeypatch.setattr("airflow_provider_videodb.hooks.arguments.VARIABLES_CAN_BE_LISTED", False)

    with pytest.raises(VideoDBConfigError, match=r"credit holds need Airflow 3\.3"):
        sensor(hold=hold)
    assert not sensor(hold=False).hold


@needs_listed_variables
@pytest.mark.parametrize(
    ("arguments", "holds", "decides"),
    [({}, True, True), ({"hold": "audit"}, False, True), ({"hold": False}, False, False)],
)
def test_trigger_that_starts_without_a_worker_knows_how_to_assess(arguments, holds, decides):
    one = sensor("starts_in_trigger", priority=4, **arguments)

    assert one.start_trigger_args.trigger_kwargs["gate"] == {
        "holds": holds,
        "priority": 4,
        "needs_place": holds,
        "decides_in_worker": decides,
        "respects_holds": True,
    }


@needs_listed_variables
def test_trigger_of_a_gate_that_ignores_holds_lists_nothing(monkeypatch):
    for hold in (False, "audit"):
        assert trigger_arguments(sensor(hold=hold, respect_holds=False))["gate"] is None
    monkeypatch.setattr("airflow_provider_videodb.sensors._trigger_arguments.VARIABLES_CAN_BE_LISTED", False)
    assert trigger_arguments(sensor(hold=False))["gate"] is None
