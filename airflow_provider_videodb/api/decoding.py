"""
VideoDB's JSON as plain data that can be stored, logged and sent on. Pure.

JSON can carry what nothing else can: lone surrogates, which no encoder takes, and NUL, which PostgreSQL refuses. Text
is cleaned of both here, once, so that no event, XCom, log line or name of a Variable meets them later.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: VideoDB's responses nest three deep; what recurses into a value stays far from Python's limit.
_MAX_DEPTH = 32
#: A text that is longer than any of VideoDB's is refused by whoever reads it, and need not be carried whole till then.
_MAX_TEXT = 10_000
#: Lone surrogates, and control characters besides tab, line feed and carriage return.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def decode(body: bytes, *, clean: Callable[[str], str]) -> object:
    """
    Return what a JSON text says, its numbers exactly; ``None`` where it is not JSON or nests too deep.

    A number that cannot be read becomes NaN, which every reader of a number refuses, so that it spoils its own entry
    of a list and not the list. A character that cannot be written becomes U+FFFD. An over-long text is cut.

    :param clean: applied to every text, names of fields included.
    """

    def fit(text: str) -> str:
        return clean(_UNFIT.sub("\N{REPLACEMENT CHARACTER}", text[:_MAX_TEXT]))

    try:
        value = json.loads(body, parse_float=_or_nan(Decimal), parse_int=_or_nan(int), parse_constant=lambda _word: nan)
        return _mapped(value, fit, depth=0)
    except (ValueError, RecursionError):
        return None


def _or_nan(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(digits: str) -> Any:
        try:
            return read(digits)
        # Python's word for more digits than it reads, and Decimal's for an exponent beyond all bounds.
        except (ValueError, ArithmeticError):
            return nan

    return parse


def _mapped(value: Any, fit: Callable[[str], str], *, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ValueError("the value nests too deep")
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, list):
        return [_mapped(item, fit, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {fit(name): _mapped(item, fit, depth=depth + 1) for name, item in value.items()}
    return value
