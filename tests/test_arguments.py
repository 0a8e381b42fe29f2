from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Real

import pytest

from airflow_provider_videodb import arguments
from airflow_provider_videodb.exceptions import VideoDBConfigError

STORED = {"enabled": True, "threshold": 5, "amount": None}
NEVER_A_NUMBER = [None, True, "", " ", "ten", "NaN", math.inf, [], {}, "{{ params.x }}", "1_000", 2**60, Fraction(1, 3)]


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (arguments.credits_argument, "100.1", Decimal("100.1")),
        (arguments.credits_argument, 100.1, Decimal("100.1")),
        (arguments.credits_argument, 0, Decimal(0)),
        (arguments.dollars_argument, "50", 50),
        (arguments.dollars_argument, 50.0, 50),
        (arguments.dollars_argument, "50.00", 50),
        (arguments.price_argument, "0.015", Decimal("0.015")),
        (arguments.settings_argument, {"changed": True, "before": STORED}, STORED),
        (arguments.count_argument, "3", 3),
        (arguments.seconds_argument, timedelta(minutes=1), 60.0),
        (arguments.seconds_argument, "0.5", 0.5),
        (arguments.url_argument, "https://example.com/a?b=c", "https://example.com/a?b=c"),
        (arguments.url_argument, "http://localhost:1/x", "http://localhost:1/x"),
        (arguments.flag_argument, False, False),
        (arguments.dollars_argument, Fraction(50), 50),
        (arguments.list_argument, [print, len], [print, len]),
        (arguments.list_argument, (), ()),
    ],
)
def test_an_argument_is_read_as_given_or_as_a_template_renders_it(read, value, expected):
    result = read("name", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((arguments.credits_argument, value) for value in [*NEVER_A_NUMBER, -1, "-0.1"]),
        *((arguments.dollars_argument, value) for value in [*NEVER_A_NUMBER, 0, -1, 0.5, "49.99"]),
        *((arguments.price_argument, value) for value in [*NEVER_A_NUMBER, 0, "0.00", -1]),
        *(
            (arguments.settings_argument, value)
            for value in [None, "x", [], {}, {"before": None}, {"before": {}}, STORED]
        ),
        *((arguments.count_argument, value) for value in [0, 1.5, "many"]),
        *((arguments.seconds_argument, value) for value in [*NEVER_A_NUMBER, 0, -1, timedelta(0), timedelta(days=-1)]),
        *(
            (arguments.url_argument, value)
            for value in [None, 7, "", "example.com", "ftp://x/y", "https://", "https:// x"]
        ),
        *((arguments.url_argument, value) for value in ["javascript:alert(1)", "https://[x", "https://x\ny"]),
        *((arguments.flag_argument, value) for value in [None, "False", "true", 0, 1]),
        *((arguments.list_argument, value) for value in [None, "slack", print, {print}, ["slack"], [print, None]]),
    ],
)
def test_a_broken_argument_is_named_with_its_value_and_the_rule(read, value):
    with pytest.raises(VideoDBConfigError) as caught:
        read("the_argument", value)
    message = str(caught.value)
    assert message.startswith(f"the_argument is {str(value)[:200]!r}; it must be ")
    assert "Nothing was sent" in message


def test_a_long_value_is_quoted_in_part():
    with pytest.raises(VideoDBConfigError) as caught:
        arguments.credits_argument("threshold", "9" * 10_000)
    assert len(str(caught.value)) < 500


class Scalar:
    """A number as NumPy and others have it: no `int` and no `float`, but registered as a number."""

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
    """NumPy's is registered as no number, and so is the missing value of pandas."""


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (arguments.dollars_argument, Int64(5), 5),
        (arguments.dollars_argument, Float32("5.0"), 5),
        (arguments.credits_argument, Int64(0), Decimal(0)),
        (arguments.credits_argument, Float32("0.1"), Decimal("0.1")),
        (arguments.price_argument, Float32("0.015"), Decimal("0.015")),
        (arguments.seconds_argument, Int64(30), 30.0),
        (arguments.count_argument, Int64(3), 3),
    ],
    ids=str,
)
def test_number_of_another_library_is_read_as_printed(read, value, expected):
    result = read("name", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    "value",
    [Float32("nan"), Float32("inf"), Float32("-inf"), Float32("-1.0"), Int64(-1), Bool(1), Bool(True)],
    ids=repr,
)
def test_what_another_library_does_not_call_a_finite_number_is_refused(value):
    for read in (arguments.credits_argument, arguments.dollars_argument):
        with pytest.raises(VideoDBConfigError, match="name is"):
            read("name", value)


class Resolved:
    """What Airflow replaces before the task runs, as an XComArg."""

    def resolve(self, context: object) -> object:
        raise NotImplementedError


class Templated:
    template_fields = ("value",)


@pytest.mark.parametrize(
    "value",
    ["{{ params.x }}", "{% if x %}5{% endif %}", "{# none #}", Resolved(), Templated(), lambda context: 5],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_rendered_later_is_not_looked_at_before(value):
    for given in (value, [value], {"before": {"enabled": value}}, (1, {value})):
        arguments.check_literal(arguments.credits_argument, "name", given)


@pytest.mark.parametrize(
    "value", ["five", "", " ", -5, -0.5, math.nan, True, None, [], {}, [1], timedelta(1), object()]
)
def test_literal_is_checked_by_the_rule_and_in_the_words_of_the_run(value):
    with pytest.raises(VideoDBConfigError) as at_run_time:
        arguments.credits_argument("name", value)
    with pytest.raises(VideoDBConfigError) as when_parsed:
        arguments.check_literal(arguments.credits_argument, "name", value)
    assert str(when_parsed.value) == str(at_run_time.value)
