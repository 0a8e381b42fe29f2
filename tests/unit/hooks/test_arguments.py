"""Arguments are parsed exactly, or refused with their name, value and rule."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Real

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.hooks import arguments

STORED = {"enabled": True, "threshold": 5, "amount": None}
NEVER_A_NUMBER = [None, True, "", " ", "ten", "NaN", math.inf, [], {}, "{{ params.x }}", "1_000", 2**60, Fraction(1, 3)]


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (arguments.parse_credits, "100.1", Decimal("100.1")),
        (arguments.parse_credits, 100.1, Decimal("100.1")),
        (arguments.parse_credits, 0, Decimal(0)),
        (arguments.parse_dollars, "50", 50),
        (arguments.parse_dollars, 50.0, 50),
        (arguments.parse_dollars, "50.00", 50),
        (arguments.parse_price, "0.015", Decimal("0.015")),
        (arguments.parse_settings, {"changed": True, "before": STORED}, STORED),
        (arguments.parse_count, "3", 3),
        (arguments.parse_seconds, timedelta(minutes=1), 60.0),
        (arguments.parse_seconds, "0.5", 0.5),
        (arguments.parse_url, "https://example.com/a?b=c", "https://example.com/a?b=c"),
        (arguments.parse_url, "http://localhost:1/x", "http://localhost:1/x"),
        (arguments.parse_flag, False, False),
        (arguments.parse_dollars, Fraction(50), 50),
        (arguments.parse_list, [print, len], [print, len]),
        (arguments.parse_list, (), ()),
        (arguments.parse_hold, False, False),
        (arguments.parse_priority, -3, -3),
        (arguments.parse_priority, 0, 0),
    ],
)
def test_argument_is_parsed_as_given_or_as_rendered(read, value, expected):
    result = read("name", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((arguments.parse_credits, value) for value in [*NEVER_A_NUMBER, -1, "-0.1"]),
        *((arguments.parse_dollars, value) for value in [*NEVER_A_NUMBER, 0, -1, 0.5, "49.99"]),
        *((arguments.parse_price, value) for value in [*NEVER_A_NUMBER, 0, "0.00", -1]),
        *((arguments.parse_settings, value) for value in [None, "x", [], {}, {"before": None}, {"before": {}}, STORED]),
        *((arguments.parse_count, value) for value in [0, 1.5, "many"]),
        *((arguments.parse_seconds, value) for value in [*NEVER_A_NUMBER, 0, -1, timedelta(0), timedelta(days=-1)]),
        *(
            (arguments.parse_url, value)
            for value in [None, 7, "", "example.com", "ftp://x/y", "https://", "https:// x"]
        ),
        *((arguments.parse_url, value) for value in ["javascript:alert(1)", "https://[x", "https://x\ny"]),
        *((arguments.parse_flag, value) for value in [None, "False", "true", 0, 1]),
        *((arguments.parse_list, value) for value in [None, "slack", print, {print}, ["slack"], [print, None]]),
        *((arguments.parse_hold, value) for value in [None, "True", "false", "Audit", 0, 1, [], {}]),
        *((arguments.parse_priority, value) for value in [*NEVER_A_NUMBER, 0.5, "2", 1_000_001, -1_000_001]),
    ],
)
def test_wrong_argument_is_named_with_value_and_rule(read, value):
    with pytest.raises(VideoDBConfigError) as caught:
        read("the_argument", value)
    message = str(caught.value)
    assert message.startswith(f"the_argument is {repr(value)[:200]}; it must be ")
    assert "Nothing was sent. Next step: correct" in message


@pytest.mark.parametrize("value", [True, "audit"])
def test_hold_is_parsed_where_variables_can_be_listed(monkeypatch, value):
    monkeypatch.setattr(arguments, "VARIABLES_CAN_BE_LISTED", True)
    assert arguments.parse_hold("hold", value) is value


@pytest.mark.parametrize("value", [True, "audit"])
def test_hold_needs_an_airflow_that_lists_variables(monkeypatch, value):
    monkeypatch.setattr(arguments, "VARIABLES_CAN_BE_LISTED", False)
    assert arguments.parse_hold("hold", False) is False
    with pytest.raises(VideoDBConfigError, match=r"hold is .*need Airflow 3\.3.* Next step: upgrade Airflow"):
        arguments.parse_hold("hold", value)


def test_long_value_is_quoted_in_part():
    with pytest.raises(VideoDBConfigError) as caught:
        arguments.parse_credits("threshold", "9" * 10_000)
    assert len(str(caught.value)) < 500


class Scalar:
    """A number like NumPy's: registered as a number, but neither `int` nor `float`."""

    def __init__(self, value: float | str) -> None:
        self.value = value

    def __str__(self) -> str:
        return str(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __repr__(self) -> str:
        return f"np.{type(self).__name__}({self.value})"


@Integral.register
class Int64(Scalar):
    pass


@Real.register
class Float32(Scalar):
    """Prints fewer digits than a `float` of its value has."""


class Bool(Scalar):
    """Neither NumPy's bool nor the missing value of pandas is registered as a number."""


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (arguments.parse_dollars, Int64(5), 5),
        (arguments.parse_dollars, Float32("5.0"), 5),
        (arguments.parse_credits, Int64(0), Decimal(0)),
        (arguments.parse_credits, Float32("0.1"), Decimal("0.1")),
        (arguments.parse_price, Float32("0.015"), Decimal("0.015")),
        (arguments.parse_seconds, Int64(30), 30.0),
        (arguments.parse_count, Int64(3), 3),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_number_of_another_library_is_parsed_as_printed(read, value, expected):
    result = read("name", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    "value",
    [Float32("nan"), Float32("inf"), Float32("-inf"), Float32("-1.0"), Int64(-1), Bool(1), Bool(True)],
    ids=repr,
)
def test_number_of_another_library_must_be_finite(value):
    for read in (arguments.parse_credits, arguments.parse_dollars):
        with pytest.raises(VideoDBConfigError, match="name is"):
            read("name", value)


class Resolved:
    """Airflow replaces this before the task runs, like an XComArg."""

    def resolve(self, context: object) -> object:
        raise NotImplementedError


class Templated:
    template_fields = ("value",)


@pytest.mark.parametrize(
    "value",
    ["{{ params.x }}", "{% if x %}5{% endif %}", "{# none #}", Resolved(), Templated(), lambda context: 5],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_template_is_not_checked_before_rendering(value):
    for given in (value, [value], {"before": {"enabled": value}}, (1, {value})):
        arguments.check_literal(arguments.parse_credits, "name", given)


@pytest.mark.parametrize(
    "value", ["five", "", " ", -5, -0.5, math.nan, True, None, [], {}, [1], timedelta(1), object()]
)
def test_literal_is_checked_by_the_rule_of_the_run(value):
    with pytest.raises(VideoDBConfigError) as at_run_time:
        arguments.parse_credits("name", value)
    with pytest.raises(VideoDBConfigError) as when_parsed:
        arguments.check_literal(arguments.parse_credits, "name", value)
    assert str(when_parsed.value) == str(at_run_time.value)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0.2 s"), (4, "4 s"), (60, "1 min"), (90, "1 min 30 s"), (86400, "24 h"), (5400.5, "1 h 30 min 0.5 s")],
)
def test_duration_is_written_with_its_units(seconds, words):
    assert arguments.in_words(seconds) == words
