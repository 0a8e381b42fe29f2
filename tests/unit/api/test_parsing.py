from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api import parsing as fields
from airflow_provider_videodb.exceptions import VideoDBResponseError

NO_NUMBERS = [
    None,
    True,
    False,
    math.nan,
    math.inf,
    -math.inf,
    Decimal("NaN"),
    "NaN",
    "Infinity",
    "-inf",
    "",
    "  ",
    "twelve",
    "12 credits",
    "1_000",
    "1,5",
    "0x10",
    "\u0661\u0662",  # Decimal reads the digits of other scripts too
    [],
    {},
    b"1",
    2**53,
    -(2**53),
    "1e400",
    # Beyond what a Decimal can be and still be calculated with.
    "1e1000000",
    "-1e999999999999999999",
    "1e9999999999999999999",
    Decimal("1e1000000"),
    10**400,
    "0." + "1" * 5000,
    # Written out, these have as many decimal places.
    "1e-401",
    Decimal("1E-999999"),
    Decimal("0E-999999"),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        (0, "0"),
        (-2.5, "-2.5"),
        (100.1, "100.1"),
        (1e-7, "0.0000001"),
        ("100.5", "100.5"),
        (" 7 ", "7"),
        ("1e2", "100"),
        (Decimal("0.10000000000000000001"), "0.10000000000000000001"),
        (2**53 - 1, "9007199254740991"),
    ],
)
def test_number_is_read_as_it_was_written(value, expected):
    assert fields.to_decimal(value) == Decimal(expected)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:20])
def test_other_value_is_not_a_number(value):
    with pytest.raises(ValueError, match="number"):
        fields.to_decimal(value)


@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value is not None], ids=lambda v: repr(v)[:20])
def test_wrong_number_is_named_with_its_field(value):
    with pytest.raises(VideoDBResponseError) as caught:
        fields.number({"credit_balance": value}, "credit_balance", "credits_remaining")
    assert "credit_balance / credits_remaining is" in str(caught.value)
    assert len(str(caught.value)) < 250


@given(st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, allow_infinity=False))
def test_figure_survives_json_unchanged(figure):
    read = json.loads(f"{figure:f}", parse_float=Decimal)
    assert fields.to_decimal(read) == figure


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"threshold": 1, "threshold_credits": 2}, 1),
        ({"threshold_credits": 2}, 2),
        ({"threshold": None, "threshold_credits": 2}, 2),
        ({"threshold": 0, "threshold_credits": 2}, 0),
    ],
    ids=["both", "sample", "null", "zero"],
)
def test_openapi_name_comes_first_and_null_is_skipped(data, expected):
    assert fields.number(data, "threshold", "threshold_credits") == expected


@pytest.mark.parametrize("reader", [fields.number, fields.text, fields.moment, fields.link])
@pytest.mark.parametrize("data", [{}, {"a": None}, {"b": None}], ids=["missing", "null", "null under the other name"])
def test_missing_field_is_an_error_with_both_names(reader, data):
    with pytest.raises(VideoDBResponseError, match=r"a / b is missing\. It must be "):
        reader(data, "a", "b")


@pytest.mark.parametrize("data", [{}, {"a": None}])
def test_optional_number_may_be_missing(data):
    assert fields.optional_number(data, "a", required=False) is None
    with pytest.raises(VideoDBResponseError, match="a is missing"):
        fields.optional_number(data, "a", required=True)


def test_optional_number_must_be_a_number():
    with pytest.raises(VideoDBResponseError, match="a is 'many'"):
        fields.optional_number({"a": "many"}, "a", required=False)


@pytest.mark.parametrize(("number", "shown"), [("3.0", "3"), ("0.5", "0.5"), ("100.1", "100.1"), ("-0", "0")])
def test_figure_becomes_the_shortest_json_number(number, shown):
    assert json.dumps(fields.to_json_number(Decimal(number))) == shown


@pytest.mark.parametrize("value", ["", "  ", 7, True, [], {}, "x" * 1001], ids=lambda value: repr(value)[:20])
def test_other_value_is_not_a_text(value):
    with pytest.raises(VideoDBResponseError, match=r"id is .*\. It must be a text"):
        fields.text({"id": value}, "id")


@pytest.mark.parametrize("data", [{}, {"pdf_url": None}, {"pdf_url": ""}])
def test_optional_text_may_be_missing_null_or_empty(data):
    assert fields.optional_text(data, "pdf_url") is None


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-15T10:30:00Z",
        "2024-01-15T10:30:00",
        "2024-01-15 10:30:00",
        "2024-01-15T10:30:00.000000000Z",
        "2024-01-15T11:30:00+01:00",
        "2024-01-15T16:00:00+0530",
        "Mon, 15 Jan 2024 10:30:00 GMT",
        "Mon, 15 Jan 2024 05:30:00 -0500",
        "Mon, 15 Jan 2024 10:30:00 -0000",
        " 2024-01-15T10:30:00Z ",
        1705314600,
        1705314600.0,
        Decimal("1705314600.000"),
    ],
    ids=repr,
)
def test_date_is_read_from_every_usual_spelling(value):
    moment = fields.moment({"created_at": value}, "created_at")
    assert moment == datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert moment.utcoffset() == timedelta(0)


def test_day_without_time_is_midnight_in_utc():
    assert fields.moment({"date": "2024-01-15"}, "created_at", "date") == datetime(2024, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "now",
        "10:30",
        "2024",
        "",
        "2024-13-01",
        "2024-02-30T00:00:00Z",
        "P1D",
        "0001-01-01T00:00:00+12:00",
        True,
        [],
        {},
        math.nan,
        1705314600000,
        "1e1000000",
        Decimal("1e999999"),
        "Mon, 15 Jan 99999999999 10:30:00 GMT",
        "Mon, 15 Jan 2024 10:30:00 +999999999999",
        "Mon, 15",
        ", , ,",
    ],
    ids=repr,
)
def test_other_value_is_not_a_date(value):
    with pytest.raises(VideoDBResponseError, match=r"created_at is .*\. It must be a date"):
        fields.moment({"created_at": value}, "created_at")


@given(st.text() | st.floats() | st.integers() | st.none() | st.booleans())
def test_any_date_is_read_or_refused_with_our_error(value):
    try:
        assert fields.moment({"at": value}, "at").tzinfo is not None
    except VideoDBResponseError as err:
        assert "at " in str(err)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "url",
    [
        "https://checkout.stripe.com/pay/cs_1",
        "https://checkout.stripe.com/c/pay/cs_live_a1#fidkdWxOYHwnPyd1blpxYHZxWjA0" + "x" * 2000,
        "http://127.0.0.1:8765/pay/1?x=1#y",
        "https://pay.example/?to=a@b.example",
        "https://pay.example./x",
        "https://a_b.example:8443/",
        "https://[::1]:8443/x",
        "https://b\u00fccher.example/stra\u00dfe",
        "HTTPS://PAY.EXAMPLE/",
    ],
)
def test_link_is_a_whole_web_address(url):
    assert fields.link({"url": url}, "url") == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "javascript://pay.example/%0aalert(1)",
        "ftp://pay.example/1",
        "/pay/cs_1",
        "pay.example.com",
        "https://",
        "data:text/html,x",
        "https://a b/",
        "https://[x",
        "https://checkout.stripe.com@evil.example/pay",
        "https://checkout.stripe.com:443@evil.example/pay",
        "https://@evil.example/",
        "https://checkout.stripe.com\\@evil.example/",
        "https://evil.example\\.stripe.com/",
        "https://pay.example/\ufffd",
        "https://pay.example/\x00",
        "https://pay.example/\x1b[2J",
        "https://pay.example/\u202egpj.exe",
        "https://pay.example/a\u00a0b",
        "https://pay.example/a\u3000b",
        "https://pay.example/a\nb",
        "https://pay\n.example/",
        "https://pay.example:99999/",
        "https://pay.example:0/",
        "https://pay.example:x/",
        "https://a..b/",
        "https://.example/",
        "https://%65vil.example/",
        f"https://{'a' * 70}.example/",
        "https:pay.example",
        "https:///pay.example",
    ],
)
def test_misleading_address_is_not_a_link(url):
    with pytest.raises(VideoDBResponseError, match=r"url is .*\. It must be the address of a web page"):
        fields.link({"url": url}, "url")


@pytest.mark.parametrize("end", ["x" * 8000, "\ud800"], ids=["long", "surrogate"])
def test_link_that_is_too_long_is_refused(end):
    with pytest.raises(VideoDBResponseError, match="url is"):
        fields.link({"url": f"https://pay.example/{end}"}, "url")


def test_long_value_is_quoted_in_part():
    with pytest.raises(VideoDBResponseError) as caught:
        fields.number({"amount": "x" * 5000}, "amount")
    assert len(str(caught.value)) < 200
