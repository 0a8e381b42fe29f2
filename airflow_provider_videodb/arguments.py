"""Reading what a DAG author gave, after templates are rendered: strings then stand for numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from airflow_provider_videodb.addresses import is_web_address
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.fields import to_decimal

#: What marks a template in a text.
_TEMPLATE_MARKS = ("{{", "{%", "{#")


def check_literal(read: Callable[[str, object], object], name: str, value: object) -> None:
    """
    Check an argument while the DAG file is parsed, if it is a literal: a template has no value before the task runs.

    :param read: one of the functions below.
    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if isinstance(value, str):
        is_literal = not any(mark in value for mark in _TEMPLATE_MARKS)
    else:
        is_literal = isinstance(value, bool | int | float | Decimal | timedelta)
    if is_literal:
        read(name, value)


def credits_argument(name: str, value: object) -> Decimal:
    """
    Read a number of credits, zero or more.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    return _number(name, value, "a number of credits, zero or more", minimum=0)


def dollars_argument(name: str, value: object) -> int:
    """
    Read a whole number of US dollars, one or more.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    return _whole_number(name, value, "a whole number of US dollars above zero")


def price_argument(name: str, value: object) -> Decimal:
    """
    Read a number of US dollars above zero, cents and less included.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    rule = "a number of US dollars above zero"
    price = _number(name, value, rule, minimum=0)
    if not price:
        raise _broken(name, value, rule)
    return price


def settings_argument(name: str, value: object) -> Mapping[str, Any]:
    """
    Read from what an ``AutoRechargeOperator`` returned the settings that it found.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    before = value.get("before") if isinstance(value, Mapping) else None
    if not isinstance(before, Mapping) or not {"enabled", "threshold", "amount"} <= before.keys():
        raise _broken(name, value, "what an AutoRechargeOperator returned, such as `restore=that_task.output`")
    return before


def count_argument(name: str, value: object) -> int:
    """
    Read a whole number, one or more.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    return _whole_number(name, value, "a whole number above zero")


def seconds_argument(name: str, value: object) -> float:
    """
    Read a duration above zero, given as a ``timedelta`` or as a number of seconds.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    rule = "a timedelta or a number of seconds, above zero"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(_number(name, value, rule, minimum=0))
    if seconds <= 0:
        raise _broken(name, value, rule)
    return seconds


def url_argument(name: str, value: object) -> str:
    """
    Read the address of a web page.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not isinstance(value, str) or not is_web_address(value):
        raise _broken(name, value, "the address of a web page, beginning with https:// or http://")
    return value


def text_argument(name: str, value: object) -> str:
    """
    Read a word.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not isinstance(value, str) or not value.strip():
        raise _broken(name, value, "a text that is not empty")
    return value


def list_argument(name: str, value: object) -> Sequence[Any]:
    """
    Read a list.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _broken(name, value, "a list, also of one")
    return value


def flag_argument(name: str, value: object) -> bool:
    """
    Read a yes or no. Words are not guessed at: ``"False"`` is a true value in Python.

    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """
    if not isinstance(value, bool):
        raise _broken(name, value, "True or False")
    return value


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
