"""What a trigger tells its task, and how the task reads it."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

import pytest

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBRateLimitError, VideoDBResponseError
from airflow_provider_videodb.triggers._encoding import MAX_EVENT_BYTES, MAX_MESSAGE, plain
from airflow_provider_videodb.triggers.events import EventStatus, checked_event, error_event, sendable


class UnknownResponseError(VideoDBResponseError):
    """An error class that the process of the task does not have."""


class Mute(Exception):  # noqa: N818 - named for what it does
    def __str__(self):
        raise RuntimeError("no words")


class NotText(Exception):  # noqa: N818 - as above
    def __str__(self):
        return 5  # noqa: PLE0307 - this is the fault


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


REFUSED = {
    "lone surrogate": "\ud800",
    "lone surrogate in a name": {"\udfff": 1},
    "half a pair": "\ud83d and no more",
    "surrogateescape of a file name": b"/tmp/\xff".decode("utf-8", "surrogateescape"),
    "NUL": "a\x00b",
    "NUL in a name": {"a\x00b": 1},
    "not a number": float("nan"),
    "infinity": float("-inf"),
    "beyond 64 bits": 2**64,
    "below 64 bits": -(2**63) - 1,
    "more digits than Python reads": 10**5000,
    "decimal": Decimal("1.5"),
    "date": datetime(2026, 1, 1),  # noqa: DTZ001 - any date will do
    "bytes": b"bytes",
    "set": {1},
    "mapping that is not a dict": MappingProxyType({"a": 1}),
    "object": object(),
    "class": ValueError,
    "Airflow's own names": {"__classname__": "builtins.tuple", "__version__": 1},
    "Airflow's older names": {"__type": "dict", "__var": {}},
    "too much": "x" * MAX_EVENT_BYTES,
    "too deep": nested(5000),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("place", [lambda value: {"a": value}, lambda value: {"usage": {"breakdown": [value]}}])
def test_event_that_cannot_be_encoded_becomes_an_error(value, place):
    told = sendable({"status": EventStatus.ENOUGH, **place(value)})

    json.dumps(told).encode()
    assert plain(told) == told
    assert told["format"] == 1
    with pytest.raises(VideoDBResponseError, match=r"Airflow cannot encode .* Next step: retry the task"):
        checked_event(told, EventStatus.ENOUGH)


ERRORS = {
    "surrogate of ours": VideoDBError("\ud800"),
    "surrogate of another": OSError(2, "No such file", "/tmp/\udcff"),
    "NUL": RuntimeError("\x00"),
    "huge": ValueError("x" * 10_000_000),
    "huge of ours": VideoDBError("x" * 10_000_000),
    "no words": Mute(),
    "words that are not text": NotText(),
    "nothing": Exception(),
    "arguments": KeyError({"\ud800": object()}),
    "group": ExceptionGroup("\ud800", [ValueError("\ud800")]),
    "not an Exception": SystemExit("\ud800"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_can_be_sent(error):
    told = error_event(error)

    assert plain(told) == told
    assert len(told["message"]) <= MAX_MESSAGE + 40
    with pytest.raises(VideoDBError):
        checked_event(told, EventStatus.ENOUGH)


PUBLIC_ERRORS = [
    found for found in vars(exceptions).values() if isinstance(found, type) and issubclass(found, VideoDBError)
]


@pytest.mark.parametrize("error", PUBLIC_ERRORS)
def test_error_is_raised_in_its_own_class_with_its_text(error):
    with pytest.raises(error, match=r"^in these words$") as raised:
        checked_event(error_event(error("in these words")), EventStatus.ENOUGH)

    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("error", "arrives_as"),
    [
        (UnknownResponseError("a page"), VideoDBResponseError),
        (type("Slower", (VideoDBRateLimitError,), {})("slow down"), VideoDBRateLimitError),
        (type("VideoDBError", (Exception,), {})("of another package"), VideoDBError),
        (type("SystemExit", (Exception,), {})("by name only"), VideoDBError),
    ],
)
def test_unknown_error_arrives_as_its_nearest_public_class(error, arrives_as):
    with pytest.raises(VideoDBError) as raised:
        checked_event(error_event(error), EventStatus.ENOUGH)

    assert type(raised.value) is arrives_as


@pytest.mark.parametrize(
    "event",
    [
        None,
        "success",
        "enough",
        {},
        {"status": "success"},
        {"status": "enough"},
        {"status": "enough", "usage": None},
        {"status": "paid", "purchase": {}},
        {"status": ["enough"]},
        {"status": "error"},
        {"status": "error", "error": "NO_EFFECT_ERRORS", "message": "m"},
        {"status": "error", "error": "SystemExit", "message": "m"},
        {"format": 2, "status": "refunded", "usage": {}},
    ],
)
def test_unknown_event_is_an_error(event):
    with pytest.raises(VideoDBError):
        checked_event(event, EventStatus.ENOUGH, EventStatus.TIMEOUT)


@pytest.mark.parametrize("event", [{"status": "paid"}, {"status": "paid", "purchase": None}])
def test_event_without_a_required_field_is_an_error(event):
    with pytest.raises(VideoDBError, match="not an event that this task expects"):
        checked_event(event, EventStatus.PAID, needs=("purchase",))


def test_unknown_event_says_what_to_do():
    with pytest.raises(VideoDBError, match=r"'refunded'.* is not an event .* Next step: install the same version"):
        checked_event({"status": "refunded"}, EventStatus.ENOUGH)
