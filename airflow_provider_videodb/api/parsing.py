"""
Reading one field of VideoDB's answers, in whichever dialect it comes. Pure.

VideoDB's documents show two dialects for one call: the OpenAPI part of a page and the sample code on the same page
name the fields differently. Each reader takes the OpenAPI name first, then the sample's. A field that is missing or
of the wrong type is a :class:`VideoDBResponseError` naming it, never a default.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.urls import is_web_address
from airflow_provider_videodb.exceptions import VideoDBResponseError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What is longer is not an id, a state, a currency or a number: it would travel on into names, logs and databases.
_MAX_TEXT = 1000
#: Browsers and chat programs take no longer address.
_MAX_LINK = 8000
#: Past this a JSON number no longer tells one credit from the next.
_TOO_LARGE = Decimal(2**53)


def to_decimal(value: object) -> Decimal:
    """
    Read a finite number, exactly, from a number or from a string that spells one.

    The numbers of other libraries count as numbers where they are registered as such, as NumPy's are.

    :raises ValueError: for anything else: booleans, ``None``, ``NaN``, infinity, words, fractions.
    """
    if isinstance(value, bool) or not isinstance(value, Real | str | Decimal):
        raise ValueError(f"{value!r} is not a number")
    # By way of str, a float means the number that was written: 100.1, not its nearest binary fraction.
    text = str(int(value) if isinstance(value, Integral) else value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    # Decimal reads "1_000" and digits of other scripts, which no API and no person means as a number.
    if not text.isascii() or "_" in text or len(text) > _MAX_TEXT:
        raise ValueError(f"{value!r} is not a number")
    # copy_abs, since abs() raises for an exponent that a Decimal may have and a context may not.
    if not number.is_finite() or number.copy_abs() >= _TOO_LARGE:
        raise ValueError(f"{value!r} is not a finite number below {_TOO_LARGE:g}")
    return number


def to_json_number(number: Decimal) -> int | float:
    """Turn a Decimal into the JSON number that leaves a task: XCom would pass it through float anyway."""
    return int(number) if number == number.to_integral_value() else float(number)


def unreadable(field: str, value: object, wanted: str) -> VideoDBResponseError:
    """
    Return the error for a field that is missing or of the wrong type.

    It quotes what a server sent: the transport hides the key in it.
    """
    shown = "is missing" if value is None else f"is {repr(value)[:80]}"
    return VideoDBResponseError(f"VideoDB's answer cannot be read: {field} {shown}, expected {wanted}.")


def _first(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((data[name] for name in names if data.get(name) is not None), None)


def number(data: Mapping[str, Any], *names: str) -> Decimal:
    """Read a finite number, exactly, also where it comes as a string."""
    value = _first(data, names)
    try:
        return to_decimal(value)
    except ValueError:
        raise unreadable(" / ".join(names), value, "a number") from None


def optional_number(data: Mapping[str, Any], *names: str, required: bool) -> Decimal | None:
    """Read a number that may be absent or null, unless it is ``required``."""
    if not required and _first(data, names) is None:
        return None
    return number(data, *names)


def text(data: Mapping[str, Any], *names: str, at_most: int = _MAX_TEXT) -> str:
    """Read a string that is not empty, nor longer than such a text can be."""
    value = _first(data, names)
    if not isinstance(value, str) or not value.strip() or len(value) > at_most:
        raise unreadable(" / ".join(names), value, f"a text of at most {at_most} characters")
    return value


def optional_text(data: Mapping[str, Any], *names: str) -> str | None:
    """Read a string that may be absent, null or empty."""
    return None if _first(data, names) in (None, "") else text(data, *names)


def link(data: Mapping[str, Any], *names: str) -> str:
    """Read the address of a web page: it becomes a button that people click."""
    value = text(data, *names, at_most=_MAX_LINK).strip()
    if not is_web_address(value):
        raise unreadable(" / ".join(names), value, "the address of a web page")
    return value


def moment(data: Mapping[str, Any], *names: str) -> datetime:
    """Read a date into UTC: ISO 8601, the HTTP form, or seconds since 1970; without an offset it is UTC."""
    value = _first(data, names)
    try:
        if isinstance(value, str):
            return _moment_from_text(value.strip()).astimezone(UTC)
        return datetime.fromtimestamp(float(to_decimal(value)), UTC)
    # The last two are what parsedate_to_datetime raises for less than a date.
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        raise unreadable(" / ".join(names), value, "a date") from None


def _moment_from_text(value: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        # "Mon, 15 Jan 2024 10:30:00 GMT" is what Flask's JSON encoder makes of a date.
        parsed = parsedate_to_datetime(value)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
