"""
Turns VideoDB's JSON into data that can be stored and logged. Pure.

JSON can carry lone surrogates, which no encoder accepts, and NUL, which PostgreSQL rejects. Both are replaced here, so
that events, XComs, log lines and names of Variables never contain them.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: VideoDB's responses have three levels. The bound keeps functions that recurse far from Python's limit.
_MAX_DEPTH = 32
#: Python would otherwise make five million objects of 16 MiB, which takes a gigabyte and many seconds. A list of
#: 100,000 checkouts has 600,000 values.
_MAX_VALUES = 1_000_000
#: Every reader of a field rejects a text of this length, so the rest of it is not needed.
_MAX_TEXT = 10_000
#: Lone surrogates, and control characters except tab, line feed and carriage return.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def decode(body: bytes, *, clean: Callable[[str], str]) -> object:
    """
    Return the value of a JSON text, with exact numbers.

    The result is ``None`` if the text is not JSON, or has too many levels or values. A number that cannot be read
    becomes NaN. Every reader of a number rejects NaN, so one bad number spoils its own list entry and not the list. A
    character that cannot be written becomes U+FFFD. A text that is too long is cut.

    :param clean: applied to every text and to every field name.
    """

    def fit(text: str) -> str:
        return clean(_UNFIT.sub("\N{REPLACEMENT CHARACTER}", text[:_MAX_TEXT]))

    # Each value but the first follows one of these. Those inside texts count as well, which only lowers the bound.
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > _MAX_VALUES:
        return None
    try:
        value = json.loads(body, parse_float=_or_nan(Decimal), parse_int=_or_nan(int), parse_constant=lambda _word: nan)
        return _mapped(value, fit, depth=0)
    except (ValueError, RecursionError):
        return None


def _or_nan(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(digits: str) -> Any:
        try:
            return read(digits)
        # Python raises ValueError for too many digits, Decimal an ArithmeticError for an exponent out of bounds.
        except (ValueError, ArithmeticError):
            return nan

    return parse


def _mapped(value: Any, fit: Callable[[str], str], *, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("too many levels")
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, list):
        return [_mapped(item, fit, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {fit(name): _mapped(item, fit, depth=depth + 1) for name, item in value.items()}
    return value
