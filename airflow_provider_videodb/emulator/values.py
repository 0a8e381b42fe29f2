"""Checks of single values, shared by all interfaces."""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import TypeAlias

from airflow_provider_videodb.emulator.errors import InvalidValueError

Number: TypeAlias = int | float | str | Decimal
"""What a caller may pass for an exact number. A float counts as its printed digits."""

LARGEST = Decimal(10) ** 9
MOST_DIGITS = 30
# Any sum of numbers within both bounds fits these 80 digits, so no credit is ever rounded away.
EXACT = Context(prec=80)

_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?([/?#][!-~]*)?")
_URL_LENGTH = 2048
_DESCRIPTION_LENGTH = 60


def decimal_of(
    name: str, value: object, *, at_least: Number = 0, above: Number | None = None, at_most: Number = LARGEST
) -> Decimal:
    """Return a JSON number as an exact number within the bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidValueError(f"{name} must be a number, got {describe(value)}")
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or len(number.as_tuple().digits) > MOST_DIGITS:
        raise InvalidValueError(f"{name} must be a finite number of at most {MOST_DIGITS} digits")
    if above is not None and number <= Decimal(above):
        raise InvalidValueError(f"{name} must be greater than {above}, got {describe(value)}")
    if not Decimal(at_least) <= number <= Decimal(at_most):
        raise InvalidValueError(f"{name} must be between {at_least} and {at_most}, got {describe(value)}")
    return number


def lenient_decimal_of(name: str, value: object, *, above: Number | None = None, at_most: Number = LARGEST) -> Decimal:
    """
    Return a number that may be written as a string.

    Tests and command lines use strings to write 0.1 exactly.
    """
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise InvalidValueError(f"{name} must be a number, got {describe(value)}") from None
    return decimal_of(name, value, above=above, at_most=at_most)


def whole_of(name: str, value: object, *, at_least: int, at_most: int) -> int:
    """Return a whole JSON number; 50.0 counts as whole."""
    number = decimal_of(name, value, at_least=at_least, at_most=at_most)
    if number != number.to_integral_value():
        raise InvalidValueError(f"{name} must be a whole number, got {describe(value)}")
    return int(number)


def boolean_of(name: str, value: object) -> bool:
    """Return a JSON boolean; 1 and "true" are errors."""
    if not isinstance(value, bool):
        raise InvalidValueError(f"{name} must be true or false, got {describe(value)}")
    return value


def text_of(name: str, value: object, *, at_most: int = 200) -> str:
    """Return a string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(f"{name} must be a non-empty string, got {describe(value)}")
    if len(value) > at_most:
        raise InvalidValueError(f"{name} must have at most {at_most} characters, got {len(value)}")
    return value


def url_of(name: str, value: object) -> str:
    """Return an absolute URL that is safe in a Location header."""
    text = text_of(name, value, at_most=_URL_LENGTH)
    if not _URL.fullmatch(text):
        raise InvalidValueError(f"{name} must be an absolute http:// or https:// URL, got {describe(value)}")
    return text


def plain(number: Decimal) -> str:
    """Format a number for a person, without 4.00 or 1E+2."""
    return f"{number.normalize(EXACT):f}"


def describe(value: object) -> str:
    """Format any value for an error message, in 60 characters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _DESCRIPTION_LENGTH else f"{text[: _DESCRIPTION_LENGTH - 3]}..."
