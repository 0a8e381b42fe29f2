"""Deadline, failures and errors of every trigger."""

from __future__ import annotations

import json
import math
import pkgutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBError,
    VideoDBNoConnectionError,
)
from airflow_provider_videodb.triggers._base import seconds_left
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from tests.support.compat import deserialize, serialize
from tests.unit.triggers.poll_results import (
    BLIP,
    SLOW_DOWN,
    balance,
    checkout_trigger,
    first_event,
    outcome,
    payload,
    threshold_trigger,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

DAY = 24 * 3600.0


async def test_only_failures_in_a_row_end_the_wait():
    trigger = threshold_trigger(max_consecutive_failures=3)
    assert await outcome(trigger, BLIP, BLIP, balance("1"), BLIP, SLOW_DOWN, BLIP, balance("1")) is None

    told = await payload(threshold_trigger(max_consecutive_failures="3"), BLIP, BLIP, NO_RESULT, SLOW_DOWN, BLIP)
    assert told == {"format": 1, "status": "error", "error": "VideoDBServerError", "message": "a blip"}


@pytest.mark.parametrize("error", [VideoDBAuthenticationError, VideoDBConfigError])
async def test_permanent_error_ends_the_wait_at_once(error):
    told = await payload(threshold_trigger(), PollResult(error=error("no")))

    assert (told["error"], told["message"]) == (error.__name__, "no")


async def test_connection_that_is_not_found_counts_as_a_failure():
    gone = PollResult(error=VideoDBNoConnectionError("gone"))

    assert await outcome(threshold_trigger(max_consecutive_failures=2), gone, balance("1"), gone) is None


@pytest.mark.parametrize("allowed", [0, -1, 2.5, "many", None, True])
async def test_number_of_failures_that_is_not_a_count_ends_the_wait(allowed):
    told = await payload(threshold_trigger(max_consecutive_failures=allowed))

    assert told["error"] == "VideoDBConfigError"
    assert "max_consecutive_failures" in told["message"]


@pytest.mark.parametrize(
    ("name", "value"), [("poll_interval", math.nan), ("poll_interval", -1), ("deadline", math.inf), ("timeout", "soon")]
)
async def test_time_that_is_not_a_number_ends_the_wait(name, value):
    told = await payload(threshold_trigger(**{name: value}))

    assert told["error"] == "VideoDBConfigError"
    assert told["message"].startswith(f"{name} is {value!r}; it must be a number of seconds, zero or more.")


@pytest.mark.parametrize(
    ("result", "seen"),
    [(balance("1"), 1), (NO_RESULT, None), (BLIP, None), (SLOW_DOWN, None)],
    ids=["too few credits", "no result", "a blip", "slow down"],
)
async def test_deadline_ends_the_wait_on_every_kind_of_tick(result, seen):
    told = await payload(threshold_trigger(deadline=time.time() - 1), result)

    assert told["status"] == "timeout"
    assert (told["usage"] and told["usage"]["credit_balance"]) == seen


async def test_value_that_arrives_at_the_deadline_counts():
    assert (await payload(threshold_trigger(deadline=time.time() - 1), balance("100")))["status"] == "enough"


async def test_restart_does_not_move_the_deadline():
    deadline = time.time() + 1000
    trigger = threshold_trigger(deadline=deadline, timeout=5)

    assert await outcome(trigger, balance("1")) is None
    assert trigger.serialize()[1]["deadline"] == deadline


async def test_timeout_without_a_deadline_begins_with_the_trigger():
    trigger = threshold_trigger(timeout=0)
    assert trigger.deadline is None

    assert (await payload(trigger, balance("1")))["status"] == "timeout"


@pytest.mark.parametrize(
    ("deadline", "timeout", "left"),
    [
        (None, None, math.inf),
        (None, 60, 60),
        (1060, None, 60),
        (1060, 100, 60),
        (1060, 30, 30),
        (1000 + DAY, 60, 60),
        (900, 60, -100),
    ],
)
def test_wait_is_never_longer_than_its_timeout(deadline, timeout, left):
    assert seconds_left(deadline, timeout, now=1000) == left


@pytest.mark.parametrize("make", [threshold_trigger, checkout_trigger])
async def test_poll_that_breaks_is_an_error_of_the_task(make):
    async def broken(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
        yield NO_RESULT
        raise RuntimeError("out of threads")

    event = await first_event(make(), broken)

    with pytest.raises(VideoDBError, match="RuntimeError: out of threads"):
        checked_event(event.payload, EventStatus.ENOUGH)


async def test_poll_that_ends_is_an_error_of_the_task():
    async def ending(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
        yield balance("1")

    event = await first_event(threshold_trigger(), ending)

    with pytest.raises(VideoDBError, match="ended early"):
        checked_event(event.payload, EventStatus.ENOUGH)


async def test_value_that_cannot_be_compared_is_never_enough():
    assert (await payload(threshold_trigger(), PollResult(value=None)))["status"] == "error"


TRIGGERS = [
    threshold_trigger(threshold="100.1", deadline=1.5, end_from_trigger=True, soft_fail=True),
    threshold_trigger(threshold=100, timeout=60.0),
    checkout_trigger(deadline=1.5),
]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_trigger_survives_the_database(trigger):
    classpath, kwargs = trigger.serialize()

    stored = json.loads(json.dumps(serialize(kwargs), allow_nan=False))

    assert stored == kwargs
    assert kwargs["format"] == 1
    assert pkgutil.resolve_name(classpath)(**deserialize(stored)).serialize() == (classpath, kwargs)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_trigger_names_its_connection_and_holds_no_key(trigger):
    held = vars(trigger) | trigger.serialize()[1]

    assert held["videodb_conn_id"] == "videodb_default"
    assert not [name for name in held if "key" in name or "password" in name or "client" in name]


async def test_argument_of_another_version_is_named_in_the_log(capsys):
    await outcome(threshold_trigger(format=2, from_the_future=1), balance("100"))

    told = capsys.readouterr().out
    assert "ignores arguments of another version: from_the_future." in told
