"""
Parses what a DAG author passed, once templates are rendered. Pure.

Templates render to text, so each function accepts a number and the text that spells it. Each one takes the argument's
name and value, and raises :class:`VideoDBConfigError` with the name, the value and the rule it breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_videodb.api.parsing import to_decimal
from airflow_provider_videodb.api.urls import is_web_address
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from decimal import Decimal

#: Whether a gate holds credits. ``"audit"`` only says what a hold would do.
HoldMode: TypeAlias = bool | Literal["audit"]
#: An Airflow user: an id, or an id with a name.
Approver: TypeAlias = str | Mapping[str, str]
#: Parses one argument, given its name and its value.
Reader = Callable[[str, object], object]

_MAX_PRIORITY = 1_000_000
_LONGEST = timedelta(days=36_525)
_TEMPLATE_MARKS = ("{{", "{%", "{#")


def check_literal(read: Reader, name: str, value: object) -> None:
    """Check a literal at parse time; templates are checked later."""
    if not _is_rendered_later(value):
        read(name, value)


def emptied(name: str) -> VideoDBConfigError:
    """Return the error for an argument that rendered to nothing."""
    return VideoDBConfigError(
        f"{name} was given to the task, but it is None. Nothing was sent. Next step: correct the template or the "
        "task that supplies it, or leave the argument out."
    )


def parse_credits(name: str, value: object) -> Decimal:
    """Parse a number of credits, zero or more."""
    # Without the sign of a negative zero.
    return _number(name, value, "a number of credits, zero or more", minimum=0).copy_abs()


def parse_dollars(name: str, value: object) -> int:
    """Parse a whole number of US dollars above zero."""
    return _whole_number(name, value, "a whole number of US dollars above zero")


def parse_dollar_line(name: str, value: object) -> Decimal:
    """Parse a number of US dollars, zero or more."""
    return _number(name, value, "a number of US dollars, zero or more", minimum=0).copy_abs()


def parse_approvers(name: str, value: object) -> tuple[dict[str, str], ...]:
    """
    Parse Airflow users: their ids, or ids with names. ``None`` does not restrict who may respond.

    An empty list is refused, because Airflow would let everybody respond.
    """
    if value is None:
        return ()
    listed = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    users = [{"id": user, "name": user} if isinstance(user, str) else user for user in listed]
    if not users or not all(map(_is_user, users)):
        raise _broken(name, value, "a list of Airflow user ids, or of {'id': …, 'name': …}, that is not empty")
    return tuple({"id": user["id"], "name": user["name"]} for user in users)


def parse_price(name: str, value: object) -> Decimal:
    """Parse a price in US dollars above zero, fractions included."""
    rule = "a number of US dollars above zero"
    price = _number(name, value, rule, minimum=0)
    if not price:
        raise _broken(name, value, rule)
    return price


def parse_settings(name: str, value: object) -> Mapping[str, Any]:
    """Parse the previous settings from an ``AutoRechargeOperator``'s result."""
    before = value.get("before") if isinstance(value, Mapping) else None
    if not isinstance(before, Mapping) or not {"enabled", "threshold", "amount"} <= before.keys():
        raise _broken(name, value, "the result of an AutoRechargeOperator, as in `restore=that_task.output`")
    settings: dict[str, Any] = {"enabled": parse_flag(f"{name}: enabled", before["enabled"])}
    for figure in ("threshold", "amount"):
        # An account that was never configured has no figures.
        is_missing = before[figure] is None
        settings[figure] = None if is_missing else parse_credits(f"{name}: {figure}", before[figure])
    return settings


def parse_count(name: str, value: object) -> int:
    """Parse a whole number above zero."""
    return _whole_number(name, value, "a whole number above zero")


def parse_seconds(name: str, value: object) -> float:
    """Parse a ``timedelta`` or a number of seconds, above zero and up to 100 years."""
    rule = "a timedelta or a number of seconds, above zero and up to 100 years"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(_number(name, value, rule, minimum=0))
    # A longer one would overflow Python's dates once the task waits, after it has bought.
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise _broken(name, value, rule)
    return seconds


def parse_optional_seconds(name: str, value: object) -> float | None:
    """Parse a ``timedelta`` or a number of seconds, above zero; or ``None``."""
    return None if value is None else parse_seconds(name, value)


def parse_hours(name: str, value: object) -> float:
    """Parse a number of hours above zero."""
    rule = "a number of hours above zero"
    hours = float(_number(name, value, rule, minimum=0))
    if hours <= 0:
        raise _broken(name, value, rule)
    return hours


def parse_url(name: str, value: object) -> str:
    """Parse the address of a web page."""
    if not isinstance(value, str) or not is_web_address(value):
        raise _broken(name, value, "the address of a web page, beginning with https:// or http://")
    return value


def parse_text(name: str, value: object) -> str:
    """Parse text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise _broken(name, value, "text that is not empty")
    return value


def parse_list(name: str, value: object) -> Sequence[Any]:
    """Parse a list of callables, such as notifiers."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(map(callable, value)):
        raise _broken(name, value, "a list of notifiers")
    return value


def parse_flag(name: str, value: object) -> bool:
    """Parse a bool; text is refused, because ``"False"`` is truthy."""
    if not isinstance(value, bool):
        raise _broken(name, value, "True or False")
    return value


def parse_hold(name: str, value: object) -> HoldMode:
    """Parse whether a gate holds credits: a bool, or ``"audit"``."""
    if not isinstance(value, bool) and value != "audit":
        raise _broken(name, value, "True, False or 'audit'")
    if value and not VARIABLES_CAN_BE_LISTED:
        raise VideoDBConfigError(
            f"{name} is {value!r}, and credit holds need Airflow 3.3, because an older one cannot list its Variables. "
            "Nothing was held. Next step: upgrade Airflow, or remove the argument."
        )
    return value if isinstance(value, bool) else "audit"


def parse_priority(name: str, value: object) -> int:
    """Parse a priority, a whole number that may be negative."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MAX_PRIORITY:
        raise _broken(name, value, f"a whole number from -{_MAX_PRIORITY} to {_MAX_PRIORITY}")
    return value


def in_words(seconds: float) -> str:
    """Write a duration with its units, such as ``1 h 30 min``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{value:g} {unit}" for value, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if value]
    return " ".join(parts) or "0 s"


def _is_rendered_later(value: object) -> bool:
    if isinstance(value, str):
        return any(mark in value for mark in _TEMPLATE_MARKS)
    if isinstance(value, Mapping):
        return any(map(_is_rendered_later, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(_is_rendered_later, value))
    # An XComArg and its kin have `resolve`. Airflow calls functions, and renders objects that have template fields.
    return callable(value) or hasattr(value, "resolve") or hasattr(value, "template_fields")


def _is_user(user: object) -> bool:
    if not isinstance(user, Mapping) or user.keys() != {"id", "name"}:
        return False
    return all(isinstance(text, str) and text.strip() for text in user.values())


def _number(name: str, value: object, rule: str, *, minimum: int) -> Decimal:
    try:
        number = to_decimal(value)
    except ValueError:
        raise _broken(name, value, rule) from None
    if number < minimum:
        raise _broken(name, value, rule)
    return number


def _whole_number(name: str, value: object, rule: str) -> int:
    number = _number(name, value, rule, minimum=1)
    if number != number.to_integral_value():
        raise _broken(name, value, rule)
    return int(number)


def _broken(name: str, value: object, rule: str) -> VideoDBConfigError:
    return VideoDBConfigError(
        f"{name} is {repr(value)[:200]}; it must be {rule}. Nothing was sent. Next step: correct the argument, "
        "or the template that renders it."
    )
