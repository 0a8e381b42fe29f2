"""What may leave a trigger, and what becomes of the rest."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

import pytest

from airflow_provider_videodb.exceptions import VideoDBError, VideoDBRateLimitError, VideoDBResponseError
from airflow_provider_videodb.triggers._encoding import MAX_EVENT_BYTES, MAX_MESSAGE, clean, describe, plain
from airflow_provider_videodb.triggers.events import EventStatus, checked_event, error_event, sendable


class Mute(Exception):  # noqa: N818 - it is what it is called
    def __str__(self):
        raise RuntimeError("no words")


class NotText(Exception):  # noqa: N818 - as above
    def __str__(self):
        return 5  # noqa: PLE0307 - that is the fault of it


class UnknownResponseError(VideoDBResponseError):
    """A kind of error that the task's process does not know."""


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
    "mapping that is no dict": MappingProxyType({"a": 1}),
    "object": object(),
    "class": ValueError,
    "Airflow's own names": {"__classname__": "builtins.tuple", "__version__": 1},
    "Airflow's older names": {"__type": "dict", "__var": {}},
    "too much": "x" * MAX_EVENT_BYTES,
    "too deep": nested(5000),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("place", [lambda value: {"a": value}, lambda value: {"usage": {"breakdown": [value]}}])
def test_event_that_no_encoder_takes_becomes_an_error_event(value, place):
    told = sendable({"status": EventStatus.ENOUGH, **place(value)})

    assert told["error"] == "VideoDBResponseError"
    assert "cannot be handed to the task" in told["message"]
    json.dumps(told).encode()
    assert plain(told) == told
    with pytest.raises(VideoDBResponseError, match="Retry the task"):
        checked_event(told, EventStatus.ENOUGH)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, 2**63, -(2**63), "", "ünïcödé 😀", "\\u0000", "\\x00", [1, ["a"]], {"a": {"b": None}}],
)
def test_what_json_knows_arrives_as_it_is(value):
    assert plain({"a": value}) == {"a": value}


def test_what_arrives_is_made_of_plain_types():
    class Text(str):
        __slots__ = ()

    copy = plain({"status": EventStatus.ENOUGH, "text": Text("a"), "pair": (1, 2)})

    assert copy == {"status": "enough", "text": "a", "pair": [1, 2]}
    assert {type(value) for value in copy.values()} == {str, list}


ERRORS = {
    "surrogate of ours": VideoDBError("\ud800"),
    "surrogate of another": OSError(2, "No such file", "/tmp/\udcff"),
    "NUL": RuntimeError("\x00"),
    "huge": ValueError("x" * 10_000_000),
    "huge of ours": VideoDBError("x" * 10_000_000),
    "no words": Mute(),
    "words that are no text": NotText(),
    "nothing": Exception(),
    "arguments": KeyError({"\ud800": object()}),
    "group": ExceptionGroup("\ud800", [ValueError("\ud800")]),
    "not an Exception": SystemExit("\ud800"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_can_be_told(error):
    told = error_event(error)

    assert plain(told) == told
    assert len(told["message"]) <= MAX_MESSAGE + 40
    with pytest.raises(VideoDBError):
        checked_event(told, EventStatus.ENOUGH)


def test_words_of_an_error_are_kept():
    assert describe(VideoDBError("in these words")) == "in these words"
    assert describe(ValueError("in these words")) == "ValueError: in these words"
    assert clean("\ud800 and \x00") == "\ufffd and \ufffd"


@pytest.mark.parametrize(
    ("error", "arrives_as"),
    [
        (UnknownResponseError("a page"), VideoDBResponseError),
        (type("Slower", (VideoDBRateLimitError,), {})("slow down"), VideoDBRateLimitError),
        (type("VideoDBError", (Exception,), {})("of somebody else"), VideoDBError),
        (type("SystemExit", (Exception,), {})("by name only"), VideoDBError),
    ],
)
def test_error_arrives_as_the_nearest_class_that_the_task_knows(error, arrives_as):
    with pytest.raises(VideoDBError) as raised:
        checked_event(error_event(error), EventStatus.ENOUGH)

    assert type(raised.value) is arrives_as
