"""
Reads one field of a VideoDB response. Pure.

VideoDB documents two dialects of each call. The OpenAPI part of a page and the sample code on the same page use
different field names. Each reader tries the OpenAPI name first and the sample's name second. A field that is missing or
has the wrong type is a :class:`VideoDBResponseError` that names it, never a default.
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

#: An id, a state, a currency or a number is shorter. Fields travel on into names, logs and databases.
_MAX_TEXT = 1000
#: Browsers and chat programs do not accept a longer address.
_MAX_LINK = 8000
#: From here on, a JSON number cannot represent every whole number of credits.
TOO_LARGE = 2**53
#: No float has more decimal places. Written out, a figure such as 1e-999999 has a million of them.
_MAX_PLACES = 400


def to_decimal(value: object) -> Decimal:
    """
    Read a finite number exactly.

    A string that spells a number is accepted, and so are the numbers of other libraries, such as NumPy.

    :raises ValueError: for a boolean, ``None``, NaN, infinity, a word, a number of 2**53 or more, or one with more
        than 400 decimal places.
    """
    if isinstance(value, bool) or not isinstance(value, Real | str | Decimal):
        raise ValueError(f"{value!r} is not a number")
    # Through str, the float 100.1 becomes Decimal 100.1 and not the nearest binary fraction.
    text = str(int(value) if isinstance(value, Integral) else value).strip()
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    # Decimal also reads "1_000" and the digits of other scripts. VideoDB sends neither.
    if not text.isascii() or "_" in text or len(text) > _MAX_TEXT:
        raise ValueError(f"{value!r} is not a number")
    # abs() would raise, because an exponent may fit a Decimal and not its context. copy_abs() does not.
    if not number.is_finite() or number.copy_abs() >= TOO_LARGE:
        raise ValueError(f"{value!r} is not a finite number below {TOO_LARGE}")
    if number.as_tuple().exponent < -_MAX_PLACES:  # type: ignore[operator]  # finite
        raise ValueError(f"{value!r} is not a number with at most {_MAX_PLACES} decimal places")
    return number


def to_json_number(number: Decimal) -> int | float:
    """Return a Decimal as the JSON number that goes into XCom."""
    return int(number) if number == number.to_integral_value() else float(number)


def unreadable(field: str, value: object, wanted: str) -> VideoDBResponseError:
    """
    Return the error for a field that is missing or has the wrong type.

    It quotes what a server sent. The transport removes the key from the quote.
    """
    shown = "is missing" if value is None else f"is {repr(value)[:80]}"
    return VideoDBResponseError(f"VideoDB's response cannot be read, because {field} {shown}. It must be {wanted}.")


def _first(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((data[name] for name in names if data.get(name) is not None), None)


def number(data: Mapping[str, Any], *names: str) -> Decimal:
    """Read a finite number, which may be spelt as a string."""
    value = _first(data, names)
    try:
        return to_decimal(value)
    except ValueError:
        raise unreadable(" / ".join(names), value, "a number") from None


def optional_number(data: Mapping[str, Any], *names: str, required: bool) -> Decimal | None:
    """Read a number that may be absent or null unless ``required``."""
    if not required and _first(data, names) is None:
        return None
    return number(data, *names)


def text(data: Mapping[str, Any], *names: str) -> str:
    """
    Read a string of a usable length.

    It is one printable line. Otherwise an id could add lines to our logs and errors.
    """
    value = _short_text(data, names, at_most=_MAX_TEXT)
    if not value.isprintable():
        raise unreadable(" / ".join(names), value, "one line of printable characters")
    return value


def _short_text(data: Mapping[str, Any], names: tuple[str, ...], *, at_most: int) -> str:
    value = _first(data, names)
    if not isinstance(value, str) or not value.strip() or len(value) > at_most:
        raise unreadable(" / ".join(names), value, f"a text of at most {at_most} characters")
    return value


def optional_text(data: Mapping[str, Any], *names: str) -> str | None:
    """Read a string that may be absent, null or empty."""
    return None if _first(data, names) in (None, "") else text(data, *names)


def link(data: Mapping[str, Any], *names: str) -> str:
    """Read a web address, which becomes a button that people click."""
    value = _short_text(data, names, at_most=_MAX_LINK).strip()
    if not is_web_address(value):
        raise unreadable(" / ".join(names), value, "the address of a web page")
    return value


def moment(data: Mapping[str, Any], *names: str) -> datetime:
    """
    Read a date as UTC.

    It may be ISO 8601, the HTTP form, or seconds since 1970. A date without an offset counts as UTC.
    """
    value = _first(data, names)
    try:
        if isinstance(value, str):
            return _moment_from_text(value.strip()).astimezone(UTC)
        return datetime.fromtimestamp(float(to_decimal(value)), UTC)
    # parsedate_to_datetime raises the last two for an incomplete date.
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        raise unreadable(" / ".join(names), value, "a date") from None


def _moment_from_text(value: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        # Flask's JSON encoder writes a date as "Mon, 15 Jan 2024 10:30:00 GMT".
        parsed = parsedate_to_datetime(value)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
