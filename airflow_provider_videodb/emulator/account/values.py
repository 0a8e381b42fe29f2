"""Checks for single values, whoever sends them: an API call, a control call, a command line or a test."""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import TypeAlias

from airflow_provider_videodb.emulator.http.errors import InvalidValueError

Number: TypeAlias = int | float | str | Decimal
"""What callers may pass for an exact figure; a float is taken as it prints."""

LARGEST = Decimal(10) ** 9
MOST_DIGITS = 30
# Sums of figures within the two bounds above are exact in this context, however they are mixed.
EXACT = Context(prec=80)

_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?([/?#][!-~]*)?")
_URL_LENGTH = 2048


def decimal_of(
    name: str, value: object, *, at_least: Number = 0, above: Number | None = None, at_most: Number = LARGEST
) -> Decimal:
    """Return `value` as an exact, finite figure within the bounds; booleans and strings are refused."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidValueError(f"{name} must be a number, got {describe(value)}")
    figure = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not figure.is_finite() or len(figure.as_tuple().digits) > MOST_DIGITS:
        raise InvalidValueError(f"{name} must be a finite number of at most {MOST_DIGITS} digits")
    if above is not None and figure <= Decimal(above):
        raise InvalidValueError(f"{name} must be greater than {above}, got {describe(value)}")
    if not Decimal(at_least) <= figure <= Decimal(at_most):
        raise InvalidValueError(f"{name} must be between {at_least} and {at_most}, got {describe(value)}")
    return figure


def lenient_decimal_of(name: str, value: object, *, above: Number | None = None, at_most: Number = LARGEST) -> Decimal:
    """Like `decimal_of`, for tests and command lines: takes a string as well, so that 0.1 can be written exactly."""
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise InvalidValueError(f"{name} must be a number, got {describe(value)}") from None
    return decimal_of(name, value, above=above, at_most=at_most)


def whole_of(name: str, value: object, *, at_least: int, at_most: int) -> int:
    """Return `value` as an `int`; 50 and 50.0 are whole, 50.5, "50" and true are not."""
    figure = decimal_of(name, value, at_least=at_least, at_most=at_most)
    if figure != figure.to_integral_value():
        raise InvalidValueError(f"{name} must be a whole number, got {describe(value)}")
    return int(figure)


def boolean_of(name: str, value: object) -> bool:
    """Return `value` when it is true or false, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise InvalidValueError(f"{name} must be true or false, got {describe(value)}")
    return value


def text_of(name: str, value: object, *, at_most: int = 200) -> str:
    """Return `value` when it is a string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(f"{name} must be a non-empty string, got {describe(value)}")
    if len(value) > at_most:
        raise InvalidValueError(f"{name} must have at most {at_most} characters, got {len(value)}")
    return value


def url_of(name: str, value: object) -> str:
    """Return `value` when it is an absolute http(s) URL in plain ASCII: fit for a Location header and a link."""
    text = text_of(name, value, at_most=_URL_LENGTH)
    if not _URL.fullmatch(text):
        raise InvalidValueError(f"{name} must be an absolute http:// or https:// URL, got {describe(value)}")
    return text


def plain(figure: Decimal) -> str:
    """Return a figure for a person: 4 rather than 4.00, and never 1E+2."""
    return f"{figure.normalize(EXACT):f}"


def describe(value: object) -> str:
    """Return `value` for an error message: short, whatever was sent."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
