"""Reading what a DAG author gave, after templates are rendered: strings then stand for numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_decimal
from airflow_provider_videodb.api.urls import is_web_address
from airflow_provider_videodb.exceptions import VideoDBConfigError

if TYPE_CHECKING:
    from decimal import Decimal

#: Reads one argument: takes its name and its value, raises VideoDBConfigError.
Reader = Callable[[str, object], object]

#: What marks a template in a text.
_TEMPLATE_MARKS = ("{{", "{%", "{#")


def check_literal(read: Reader, name: str, value: object) -> None:
    """
    Check a templated argument while the DAG file is parsed, unless Airflow replaces its value before the task runs.

    :param read: one of the functions below.
    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not _is_rendered_later(value):
        read(name, value)


def emptied(name: str) -> VideoDBConfigError:
    """Return the error for an argument that was given, but holds nothing."""
    return VideoDBConfigError(
        f"{name} was given to the task, but it is None. Nothing was sent. Correct the template or the task that it "
        "takes its value from. Where nothing is meant, leave the argument out."
    )


def parse_credits(name: str, value: object) -> Decimal:
    """
    Read a number of credits, zero or more.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    return _number(name, value, "a number of credits, zero or more", minimum=0)


def parse_dollars(name: str, value: object) -> int:
    """
    Read a whole number of US dollars, one or more.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    return _whole_number(name, value, "a whole number of US dollars above zero")


def parse_price(name: str, value: object) -> Decimal:
    """
    Read a number of US dollars above zero, cents and less included.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    rule = "a number of US dollars above zero"
    price = _number(name, value, rule, minimum=0)
    if not price:
        raise _broken(name, value, rule)
    return price


def parse_settings(name: str, value: object) -> Mapping[str, Any]:
    """
    Read from what an ``AutoRechargeOperator`` returned the settings that it found.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    before = value.get("before") if isinstance(value, Mapping) else None
    if not isinstance(before, Mapping) or not {"enabled", "threshold", "amount"} <= before.keys():
        raise _broken(name, value, "what an AutoRechargeOperator returned, such as `restore=that_task.output`")
    parse_flag(f"{name}: enabled", before["enabled"])
    for figure in ("threshold", "amount"):
        # An account that never had figures has none to bring back.
        if before[figure] is not None:
            parse_credits(f"{name}: {figure}", before[figure])
    return before


def parse_count(name: str, value: object) -> int:
    """
    Read a whole number, one or more.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    return _whole_number(name, value, "a whole number above zero")


def parse_seconds(name: str, value: object) -> float:
    """
    Read a duration above zero, given as a ``timedelta`` or as a number of seconds.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    rule = "a timedelta or a number of seconds, above zero"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(_number(name, value, rule, minimum=0))
    if seconds <= 0:
        raise _broken(name, value, rule)
    return seconds


def parse_url(name: str, value: object) -> str:
    """
    Read the address of a web page.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not isinstance(value, str) or not is_web_address(value):
        raise _broken(name, value, "the address of a web page, beginning with https:// or http://")
    return value


def in_words(duration: timedelta | float) -> str:
    """Return a duration as a person reads it: with its unit."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    return str(timedelta(seconds=seconds)) if seconds >= 60 else f"{seconds:g} s"


def parse_text(name: str, value: object) -> str:
    """
    Read a word.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not isinstance(value, str) or not value.strip():
        raise _broken(name, value, "a text that is not empty")
    return value


def parse_list(name: str, value: object) -> Sequence[Any]:
    """
    Read a list of what Airflow calls, such as notifiers.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(map(callable, value)):
        raise _broken(name, value, "a list of notifiers")
    return value


def parse_flag(name: str, value: object) -> bool:
    """
    Read a yes or no. Words are not guessed at: ``"False"`` is a true value in Python.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not isinstance(value, bool):
        raise _broken(name, value, "True or False")
    return value


def _is_rendered_later(value: object) -> bool:
    if isinstance(value, str):
        return any(mark in value for mark in _TEMPLATE_MARKS)
    if isinstance(value, Mapping):
        return any(map(_is_rendered_later, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(_is_rendered_later, value))
    # An XComArg and its like have `resolve`; Airflow calls a function, and renders what has template fields.
    return callable(value) or hasattr(value, "resolve") or hasattr(value, "template_fields")


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
        f"{name} is {str(value)[:200]!r}; it must be {rule}. Nothing was sent. Correct the task's argument, "
        "or the template that renders it."
    )
