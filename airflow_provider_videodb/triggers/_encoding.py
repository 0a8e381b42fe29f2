"""
Turns values into what every encoder between trigger and task accepts. Pure.

Airflow encodes an event for the triggerer's supervisor, for the database and for the task. An event that it cannot
encode ends the triggerer's process. The next process loads the same trigger and ends in the same way.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_videodb.exceptions import VideoDBError

#: Longest error message, in characters. A payment link has about a thousand and must stay whole.
MAX_MESSAGE = 4000
#: Largest event, in bytes. The record of a purchase may name 100,000 checkouts, which take 7 MB.
MAX_EVENT_BYTES = 8 * 1024 * 1024

#: UTF-8 has no lone surrogates, and PostgreSQL stores no NUL.
_NOT_TEXT = re.compile("[\ud800-\udfff\x00]")
#: The whole numbers of MessagePack, with which Airflow's processes talk.
_WHOLE_NUMBERS = range(-(2**63), 2**64)


def clean(text: str) -> str:
    """Return text that can be encoded, and cut it at the longest message."""
    whole = _NOT_TEXT.sub("\ufffd", text)
    return whole if len(whole) <= MAX_MESSAGE else f"{whole[:MAX_MESSAGE]} (cut: {len(whole)} characters)"


def describe(err: BaseException) -> str:
    """Return the text of any exception, with the class unless it is ours."""
    try:
        text = str(err)
    except Exception:  # noqa: BLE001 - the __str__ of foreign code may raise anything
        text = "its text cannot be read"
    return clean(text if isinstance(err, VideoDBError) else f"{type(err).__name__}: {text}")


def plain(event: object) -> Any:
    """
    Return a copy made of JSON's own types.

    :raises ValueError: if the event holds text that is not UTF-8, a NUL, a name that Airflow's encoding reserves, a
        number that is infinite, not a number or beyond 64 bits, or more than the largest event.
    :raises TypeError: if the event holds a type that JSON does not have.
    """
    encoded = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
    if len(encoded) > MAX_EVENT_BYTES:
        raise ValueError(f"it has {len(encoded)} bytes, and {MAX_EVENT_BYTES} are allowed")
    copy = json.loads(encoded, parse_int=_whole_number, object_pairs_hook=_named)
    _check_texts(copy)
    return copy


def _whole_number(digits: str) -> int:
    number = int(digits)
    if number not in _WHOLE_NUMBERS:
        raise ValueError(f"the number {digits[:40]} does not fit into 64 bits")
    return number


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Airflow's decoder treats names such as `__type` and `__classname__` as instructions.
    if reserved := next((name for name, _ in pairs if name.startswith("__")), None):
        raise ValueError(f"the name {reserved[:80]!r} begins with two underscores")
    return dict(pairs)


def _check_texts(value: object) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("a text holds a NUL")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_texts(name)
            _check_texts(item)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)
