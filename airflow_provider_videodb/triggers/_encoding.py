"""
What may leave a trigger: text and values that every encoder between it and its task takes. Pure.

Airflow encodes an event for the triggerer's supervisor, for the database and for the task. One that cannot be encoded
ends the triggerer's process, and does so again after each restart, since the trigger is loaded again.
"""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_videodb.exceptions import VideoDBError

#: Characters of an error's message; a payment link, which must not be cut, has about a thousand.
MAX_MESSAGE = 4000
#: Bytes of an event. The record of a purchase may name every checkout of an account: 100,000 of them are 7 MB.
MAX_EVENT_BYTES = 8 * 1024 * 1024

#: Lone surrogates are not UTF-8, and PostgreSQL stores no NUL.
_NOT_TEXT = re.compile("[\ud800-\udfff\x00]")
#: Whole numbers that MessagePack, Airflow's encoding between its processes, can hold.
_WHOLE_NUMBERS = range(-(2**63), 2**64)


def clean(text: str) -> str:
    """Return ``text`` with U+FFFD where an encoder would refuse it, and no longer than a message may be."""
    whole = _NOT_TEXT.sub("\ufffd", text)
    return whole if len(whole) <= MAX_MESSAGE else f"{whole[:MAX_MESSAGE]} (cut: {len(whole)} characters)"


def describe(err: BaseException) -> str:
    """Return what an exception says, whatever it holds; one that is not ours comes with the name of its class."""
    try:
        text = str(err)
    except Exception:  # noqa: BLE001 - somebody else's __str__
        text = "its text cannot be told"
    return clean(text if isinstance(err, VideoDBError) else f"{type(err).__name__}: {text}")


def plain(event: object) -> Any:
    """
    Return a copy of ``event`` that is made of JSON's own types.

    :raises ValueError: if it holds text that is not UTF-8, a NUL, a name that Airflow's encoding keeps for itself, a
        number that is not finite or beyond 64 bits, or too much.
    :raises TypeError: if it holds anything that JSON does not know.
    """
    encoded = json.dumps(event, ensure_ascii=False, allow_nan=False).encode()
    if len(encoded) > MAX_EVENT_BYTES:
        raise ValueError(f"it has {len(encoded)} bytes, more than {MAX_EVENT_BYTES}")
    copy = json.loads(encoded, parse_int=_whole_number, object_pairs_hook=_named)
    _check_texts(copy)
    return copy


def _whole_number(digits: str) -> int:
    number = int(digits)
    if number not in _WHOLE_NUMBERS:
        raise ValueError(f"the number {digits[:40]} does not fit into 64 bits")
    return number


def _named(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Airflow reads `__type`, `__classname__` and their like as instructions to its own decoder.
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
