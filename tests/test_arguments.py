from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest

from airflow_provider_videodb import arguments
from airflow_provider_videodb.exceptions import VideoDBConfigError

STORED = {"enabled": True, "threshold": 5, "amount": None}
NEVER_A_NUMBER = [None, True, "", "ten", "NaN", math.inf, [], {}, "{{ params.x }}", "1_000", 2**60]


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
