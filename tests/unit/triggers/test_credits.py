"""When the balance reaches the threshold, and how the task ends."""

from __future__ import annotations

import json
import time

import pytest
from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb.exceptions import VideoDBAuthenticationError
from airflow_provider_videodb.triggers._poll import PollResult
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from tests.support.compat import deserialize, serialize
from tests.unit.triggers.poll_results import balance, outcome, payload, threshold_trigger

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("threshold", "credits", "enough"),
    [
        ("100.1", "100.1", True),
        (100.1, "100.1", True),
        (100, "100", True),
        ("100.1", "100.0999999999999", False),
        ("0.3", "0.29999999999999998", False),
        (0, "0", True),
        (0, "-0.01", False),
        ("1e3", "1000", True),
    ],
)
async def test_balance_is_compared_exactly(threshold, credits, enough):
    event = await outcome(threshold_trigger(threshold=threshold), balance(credits))

    assert (event is not None) == enough


async def test_event_carries_the_usage():
    told = await payload(threshold_trigger(deadline=4102444800.0), balance("99"), balance("120"))

    assert told.pop("deadline") == pytest.approx(4102444800.0, abs=5)
    assert told == {
        "format": 1,
        "status": "enough",
        "usage": {"credit_balance": 120, "usage_this_month": 30.5, "breakdown": {"indexing": 30.5}},
        "available": 120,
        "reason": None,
    }


async def test_event_survives_the_way_to_the_task():
    told = await payload(threshold_trigger(), balance("100.5"))

    assert json.loads(json.dumps(serialize(told))) == told
    assert checked_event(deserialize(serialize(told)), EventStatus.ENOUGH)["usage"]["credit_balance"] == 100.5


@pytest.mark.parametrize("threshold", ["nan", "inf", "-1", "lots", "", "None", None, True, "1e400", "1_000"])
async def test_threshold_that_is_not_a_number_ends_the_wait(threshold):
    told = await payload(threshold_trigger(threshold=threshold))

    assert told["error"] == "VideoDBConfigError"
    assert "threshold" in told["message"]


@pytest.mark.parametrize(
    ("soft_fail", "result", "expected"),
    [
        (False, balance("100"), TaskSuccessEvent),
        (True, balance("100"), TaskSuccessEvent),
        (True, balance("1"), TaskSkippedEvent),
        (False, balance("1"), TriggerEvent),
        (True, PollResult(error=VideoDBAuthenticationError("no")), TriggerEvent),
    ],
)
async def test_worker_is_needed_only_to_raise_an_error(soft_fail, result, expected):
    trigger = threshold_trigger(end_from_trigger=True, soft_fail=soft_fail, deadline=time.time() - 1)

    event = await outcome(trigger, result)

    assert type(event) is expected
    if expected is TaskSuccessEvent:
        assert event.xcoms["return_value"]["credit_balance"] == 100
