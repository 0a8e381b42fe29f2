"""What each waiter makes of the snapshots it is shown, and what it tells its task."""

from __future__ import annotations

import asyncio
import json
import pkgutil
import time
from datetime import timedelta
from decimal import Decimal
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from airflow.sdk.serde import deserialize, serialize
from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.api.models import Checkout, Usage
from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBCheckoutExpiredError,
    VideoDBConfigError,
    VideoDBError,
    VideoDBGatewayError,
    VideoDBPermissionError,
    VideoDBPurchaseUnknownError,
    VideoDBRateLimitError,
    VideoDBServerError,
)
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from tests.support.records import purchase_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

BLIP = PollResult(error=VideoDBServerError("a blip"))
SLOW_DOWN = PollResult(error=VideoDBRateLimitError("slow down", retry_after=1))


def balance(credits: str) -> PollResult:
    usage = Usage(
        credit_balance=Decimal(credits),
        usage_this_month=Decimal("30.5"),
        breakdown=MappingProxyType({"indexing": Decimal("30.5")}),
    )
    return PollResult(seen=usage)


def listed(checkout_id: str, status: str) -> PollResult:
    checkout = Checkout.from_list(
        {"id": checkout_id, "amount": 50, "currency": "usd", "status": status, "created_at": "2026-01-01T00:00:00Z"}
    )
    return PollResult(seen={checkout_id: checkout})


def threshold_trigger(**arguments: Any) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(
        **{"threshold": "100", "videodb_conn_id": "videodb_default", "poll_interval": 30} | arguments
    )


def checkout_trigger(**arguments: Any) -> CheckoutTrigger:
    return CheckoutTrigger(
        **{"purchase": purchase_of("cs_1"), "videodb_conn_id": "videodb_default", "poll_interval": 30} | arguments
    )


async def outcome(trigger: Any, *snapshots: PollResult) -> TriggerEvent | None:
    """Return the one event that the trigger makes of these snapshots, ``None`` if it still waits after them."""

    all_shown = asyncio.Event()

    async def stream(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
        for snapshot in snapshots:
            yield snapshot
        all_shown.set()
        await asyncio.Event().wait()

    return await first_event(trigger, stream, until=all_shown)


async def first_event(trigger: Any, stream: Any, *, until: asyncio.Event | None = None) -> TriggerEvent | None:
    """Let a trigger wait on a poll that sees ``stream``; ``None`` if it still waits once ``until`` is set."""

    async def events() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    with patch("airflow_provider_videodb.triggers._shared_poll.snapshots", stream):
        waiting = asyncio.create_task(events())
        ends = {waiting} if until is None else {waiting, asyncio.create_task(until.wait())}
        await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        for _ in range(5):
            # What was decided at the last tick takes a few steps to come out.
            await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            return None
        (event,) = await waiting
        return event


async def payload(trigger: Any, *snapshots: PollResult) -> dict[str, Any]:
    event = await outcome(trigger, *snapshots)
    assert event is not None
    return event.payload


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
async def test_it_fires_at_the_threshold_exactly(threshold, credits, enough):
    event = await outcome(threshold_trigger(threshold=threshold), balance(credits))

    assert (event is not None) == enough


async def test_the_event_carries_the_usage_it_saw():
    assert await payload(threshold_trigger(), balance("99"), balance("120")) == {
        "status": "enough",
        "usage": {"credit_balance": 120, "usage_this_month": 30.5, "breakdown": {"indexing": 30.5}},
    }


@pytest.mark.parametrize("threshold", ["nan", "inf", "-1", "lots", "", "None", None, True, "1e400", "1_000"])
async def test_a_threshold_that_is_no_number_of_credits_ends_the_wait_before_any_look(threshold):
    told = await payload(threshold_trigger(threshold=threshold))

    assert told["error"] == "VideoDBConfigError"
    assert "threshold" in told["message"]


@pytest.mark.parametrize("allowed", [0, -1, 2.5, "many", None, True])
async def test_so_does_a_nonsense_number_of_failures(allowed):
    told = await payload(threshold_trigger(max_consecutive_failures=allowed))

    assert told["error"] == "VideoDBConfigError"


async def test_only_failures_in_a_row_end_the_wait():
    trigger = threshold_trigger(max_consecutive_failures=3)
    assert await outcome(trigger, BLIP, BLIP, balance("1"), BLIP, BLIP, balance("1")) is None

    told = await payload(threshold_trigger(max_consecutive_failures=3), BLIP, BLIP, NO_RESULT, BLIP)
    assert told == {"status": "error", "error": "VideoDBServerError", "message": "a blip"}


async def test_being_asked_to_slow_down_is_no_failure():
    trigger = threshold_trigger(max_consecutive_failures=2)

    assert await outcome(trigger, *[SLOW_DOWN] * 10, BLIP, SLOW_DOWN) is None


@pytest.mark.parametrize("error", [VideoDBAuthenticationError, VideoDBPermissionError, VideoDBConfigError])
async def test_what_no_later_poll_can_mend_ends_the_wait_at_once(error):
    told = await payload(threshold_trigger(), PollResult(error=error("no")))

    assert told == {"status": "error", "error": error.__name__, "message": "no"}


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 503])
async def test_page_of_a_gateway_is_a_failure_that_is_counted(status):
    page = PollResult(error=VideoDBGatewayError("Just a moment...", status=status))
    trigger = threshold_trigger(max_consecutive_failures=3)
    assert await outcome(trigger, page, page, balance("1"), page, page) is None

    told = await payload(threshold_trigger(max_consecutive_failures="2"), page, page)
    assert (told["error"], told["message"]) == ("VideoDBGatewayError", "Just a moment...")


@pytest.mark.parametrize(
    ("snapshot", "seen"),
    [(balance("1"), 1), (NO_RESULT, None), (BLIP, None), (SLOW_DOWN, None)],
    ids=["too little", "nothing new", "a blip", "slow down"],
)
async def test_the_deadline_ends_the_wait_whatever_the_tick_brings(snapshot, seen):
    told = await payload(threshold_trigger(deadline=time.time() - 1), snapshot)

    assert told["status"] == "timeout"
    assert (told["usage"] and told["usage"]["credit_balance"]) == seen


async def test_a_balance_that_suffices_at_the_last_look_counts():
    assert (await payload(threshold_trigger(deadline=time.time() - 1), balance("100")))["status"] == "enough"


async def test_a_deadline_stands_however_often_the_triggerer_restarts():
    deadline = time.time() + 1000
    trigger = threshold_trigger(deadline=deadline, timeout=5)

    assert await outcome(trigger, balance("1")) is None
    assert trigger.deadline == deadline


async def test_the_time_begins_with_the_trigger_where_no_worker_began_it():
    trigger = threshold_trigger(timeout=0)
    assert trigger.deadline is None

    assert (await payload(trigger, balance("1")))["status"] == "timeout"


@pytest.mark.parametrize(
    ("soft_fail", "snapshot", "expected"),
    [
        (False, balance("100"), TaskSuccessEvent),
        (True, balance("100"), TaskSuccessEvent),
        (True, balance("1"), TaskSkippedEvent),
        (False, balance("1"), TriggerEvent),
        (True, PollResult(error=VideoDBAuthenticationError("no")), TriggerEvent),
    ],
)
async def test_a_worker_is_spared_unless_something_must_be_raised(soft_fail, snapshot, expected):
    trigger = threshold_trigger(end_from_trigger=True, soft_fail=soft_fail, deadline=time.time() - 1)

    event = await outcome(trigger, snapshot)

    assert type(event) is expected
    if expected is TaskSuccessEvent:
        assert event.xcoms["return_value"]["credit_balance"] == 100


@pytest.mark.parametrize("make", [threshold_trigger, checkout_trigger])
async def test_a_poll_that_breaks_is_an_error_of_the_task_and_no_failed_trigger(make):
    async def broken(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
        yield NO_RESULT
        raise RuntimeError("out of threads")

    event = await first_event(make(), broken)

    assert event.payload["message"] == "RuntimeError: out of threads"
    with pytest.raises(VideoDBError, match="out of threads"):
        checked_event(event.payload, EventStatus.ENOUGH)


async def test_a_poll_that_ends_is_an_error_too():
    async def ending(*_: Any, **__: Any) -> AsyncIterator[PollResult]:
        yield balance("1")

    event = await first_event(threshold_trigger(), ending)

    assert event.payload["error"] == "VideoDBError"


async def test_what_is_seen_but_cannot_be_judged_is_never_enough():
    told = await payload(threshold_trigger(), PollResult(seen=None))

    assert told["status"] == "error"


async def test_a_checkout_is_paid_once_the_list_says_completed():
    told = await payload(checkout_trigger(), listed("cs_1", "pending"), listed("cs_1", "completed"))

    assert told["status"] == "paid"
    assert told["purchase"]["paid"] == ["cs_1"]


async def test_one_look_that_says_expired_ends_no_wait():
    assert await outcome(checkout_trigger(), listed("cs_1", "expired"), listed("cs_1", "expired")) is None


async def test_a_checkout_that_can_no_longer_be_paid_is_an_error(monkeypatch):
    # Two looks some seconds apart; here they may be as close as they are.
    monkeypatch.setattr("airflow_provider_videodb.purchases.rules.tracking.LIST_LAG", timedelta(0))
    told = await payload(checkout_trigger(), listed("cs_1", "expired"))

    assert told["error"] == VideoDBCheckoutExpiredError.__name__


@pytest.mark.parametrize("status", ["processing", "refunded", "Completed"])
async def test_a_state_of_no_known_word_is_waited_through(status):
    trigger = checkout_trigger()
    assert await outcome(trigger, listed("cs_1", "pending"), listed("cs_1", status), listed("cs_1", status)) is None

    told = await payload(checkout_trigger(), listed("cs_1", status), listed("cs_1", "completed"))
    assert told["status"] == "paid"


async def test_the_end_of_waiting_for_a_payment_carries_the_purchase():
    told = await payload(checkout_trigger(deadline=time.time() - 1), listed("cs_1", "pending"))

    assert told["status"] == "timeout"
    assert told["purchase"] == purchase_of("cs_1")


@pytest.mark.parametrize("purchase", [{}, {"amount": 50, "of": "another version"}, None, "cs_1"])
async def test_a_purchase_that_cannot_be_read_fails_the_task_and_not_the_triggerer(purchase):
    # create_triggers() of the triggerer survives a TypeError of the constructor, and nothing else.
    told = await payload(checkout_trigger(purchase=purchase))

    assert told["error"] == VideoDBPurchaseUnknownError.__name__


TRIGGERS = [
    threshold_trigger(threshold="100.1", deadline=1.5, end_from_trigger=True, soft_fail=True),
    threshold_trigger(threshold=100, timeout=60.0),
    checkout_trigger(deadline=1.5),
]


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_a_trigger_survives_the_database(trigger):
    classpath, kwargs = trigger.serialize()

    stored = json.loads(json.dumps(serialize(kwargs), allow_nan=False))
    again = pkgutil.resolve_name(classpath)(**deserialize(stored))

    assert stored == kwargs
    assert set(kwargs) == set(signature(type(trigger)).parameters)
    assert type(again) is type(trigger)
    assert again.serialize() == (classpath, kwargs)


@pytest.mark.parametrize("trigger", TRIGGERS)
async def test_a_trigger_names_its_connection_and_holds_no_key(trigger):
    held = vars(trigger) | trigger.serialize()[1]

    assert held["videodb_conn_id"] == "videodb_default"
    assert not [name for name in held if "key" in name or "password" in name or "client" in name]


async def test_an_event_survives_the_way_to_the_task():
    told = await payload(threshold_trigger(), balance("100.5"))

    assert json.loads(json.dumps(serialize(told))) == told
    assert checked_event(deserialize(serialize(told)), EventStatus.ENOUGH)["usage"]["credit_balance"] == 100.5


def test_who_asks_the_same_of_the_same_account_as_often_shares_a_poll():
    same = [
        threshold_trigger(threshold="5", deadline=1.0, soft_fail=True, max_consecutive_failures=9),
        threshold_trigger(poll_interval=30.0),
    ]
    others = [threshold_trigger(videodb_conn_id="other"), threshold_trigger(poll_interval=60), checkout_trigger()]

    keys = {trigger.question for trigger in same}
    assert len(keys) == 1
    assert len(keys | {trigger.question for trigger in others}) == 4


ENDING_ERRORS = [
    found
    for found in vars(exceptions).values()
    if isinstance(found, type) and issubclass(found, VideoDBError) and not issubclass(found, VideoDBRateLimitError)
]


@pytest.mark.parametrize("error", ENDING_ERRORS)
async def test_an_error_is_raised_in_the_task_in_its_own_class_with_its_words(error):
    told = await payload(threshold_trigger(max_consecutive_failures=1), PollResult(error=error("in these words")))

    with pytest.raises(error, match=r"^in these words$") as raised:
        checked_event(told, EventStatus.ENOUGH)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "event",
    [
        None,
        "success",
        "enough",
        {},
        {"status": "success"},
        {"status": "paid", "purchase": {}},
        {"status": ["enough"]},
        {"status": "error"},
        {"status": "error", "error": "NO_EFFECT_ERRORS", "message": "m"},
        {"status": "error", "error": "SystemExit", "message": "m"},
    ],
)
def test_an_event_that_is_not_understood_is_an_error(event):
    with pytest.raises(VideoDBError):
        checked_event(event, EventStatus.ENOUGH, EventStatus.TIMEOUT)
