from __future__ import annotations

import json
import math
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.decoding import decode
from airflow_provider_videodb.exceptions import VideoDBAPIError, VideoDBResponseError
from tests.conftest import API_KEY
from tests.support.raw_server import RawServer, raw_response

LOST = "\N{REPLACEMENT CHARACTER}"
UNFIT = [
    *(rf"\ud{digits}" for digits in ("800", "83d", "bff", "c00", "e00", "fff")),
    *(rf"\u00{code:02x}" for code in range(0x20) if chr(code) not in "\t\n\r"),
]


def read(text):
    return decode(text if isinstance(text, bytes) else text.encode(), clean=str)


@pytest.mark.parametrize("escape", UNFIT)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a%sz"', f"a{LOST}z"),
        ('{"%s": 1}', {LOST: 1}),
        ('{"a": {"b%s": ["c%s", {"%sd": "e"}]}}', {"a": {f"b{LOST}": [f"c{LOST}", {f"{LOST}d": "e"}]}}),
    ],
    ids=["value", "name", "depth"],
)
def test_character_that_cannot_be_written_becomes_a_replacement(escape, text, expected):
    assert read(text.replace("%s", escape)) == expected


@pytest.mark.parametrize("raw", [b"\xed\xa0\x80", b"\xed\xbf\xbf"])
def test_surrogate_as_bytes_becomes_a_replacement(raw):
    value = read(b'{"a": "x' + raw + b'y"}')
    assert value == {"a": f"x{LOST}y"}


@pytest.mark.parametrize("text", ["caf\u00e9", "\u65e5\u672c", "\U0001f600", "a\tb\nc\rd", "\u2028", "\ufffd", ""])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_other_character_stays(text, ascii_only):
    assert read(json.dumps({text: text}, ensure_ascii=ascii_only)) == {text: text}


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_decoded_value_can_be_written(value):
    decoded = decode(json.dumps(value).encode(), clean=str)
    text = json.dumps(decoded, ensure_ascii=False)
    assert "\0" not in text
    text.encode()


@pytest.mark.parametrize(
    "figure",
    ["NaN", "Infinity", "-Infinity", "9" * 5000, "-" + "9" * 5000, "1e99999999999999999999", "1e-99999999999999999999"],
)
def test_number_that_cannot_be_read_spoils_itself_alone(figure):
    first, second = read(f"[{figure}, 1.10]")
    assert math.isnan(first)
    assert second == Decimal("1.10")


@pytest.mark.parametrize(("figure", "expected"), [("3", 3), ("-0", 0), ("0.1", Decimal("0.1")), ("1E2", Decimal(100))])
def test_number_is_exact(figure, expected):
    value = read(figure)
    assert (value, type(value)) == (expected, type(expected))


def test_last_of_the_same_names_counts():
    assert read('{"a": 1, "a": 2, "\\ud800": 3, "\\ud801": 4}') == {"a": 2, LOST: 4}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"<html>",
        b'{"a": "\xff"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50 + b"1" + b"}" * 50,
        b"[" * 50 + b"]" * 50,
        b"[" * 900 + b"]" * 900,
        b'{"a": 01}',
        b"{'a': 1}",
        b"[1,]",
        b"\0",
        b'"\x01"',
        b'"\\x41"',
        b'"\\u12"',
    ],
    ids=range(16),
)
def test_text_that_is_not_json_or_nests_too_deep_is_none(text):
    assert read(text) is None


def test_nesting_as_deep_as_any_response_is_read():
    assert read(b"[" * 32 + b"]" * 32) is not None


def test_long_text_is_cut_but_stays_too_long_for_a_field():
    (value,) = read(json.dumps(["x" * 1_000_000]))
    assert value == "x" * 10_000


def test_names_and_values_are_cleaned_at_any_depth():
    assert decode(b'{"a": ["a", {"b": "a"}]}', clean=lambda text: text.replace("a", "x")) == {"x": ["x", {"b": "x"}]}


BODIES = {
    "usage": b'{"data": {"credit_balance": 1, "usage_this_month": 1, "breakdown": {"%b": 1}}}',
    "message": b'{"success": false, "message": "%b", "error_code": "%b"}',
    "wrong type": b'{"data": {"credit_balance": {"%b": "%b"}, "usage_this_month": 1}}',
}


@pytest.mark.parametrize("escape", [rb"\ud800", rb"\u0000", rb"\udfff\ud800", b"\xed\xa0\x80"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_nothing_that_leaves_the_client_fails_to_encode(body, escape):
    with RawServer(raw_response(body.replace(b"%b", escape))) as server:
        client = BillingClient(API_KEY, base_url=server.url, max_retries=0)
        try:
            said = json.dumps(client.get_usage().to_dict(), ensure_ascii=False)
        except VideoDBAPIError as err:
            said = f"{err}{err.error_code}"
    assert "\0" not in said
    said.encode()


def test_listed_checkout_can_be_stored():
    body = rb'{"data": [{"id": "\ud800\u0000", "currency": "\u0001", "status": "\udfff", "created_at": 0}]}'
    with RawServer(raw_response(body)) as server:
        (checkout,) = BillingClient(API_KEY, base_url=server.url, max_retries=0).list_checkouts()
    said = f"{checkout.id}{checkout.currency}{checkout.status}"
    assert set(said) == {LOST}


@pytest.mark.parametrize("header", ["X-Request-Id", "Request-Id", "Content-Type", "Location"])
@pytest.mark.parametrize("value", [b"a\x00b", b"a\x1b[2Jb", b"a\xff\xfeb", b"a\x85b", b"a\tb", b"y" * 60_000])
@pytest.mark.parametrize("status", [200, 302, 401, 503])
def test_header_of_a_response_is_quoted_on_one_printable_line(header, value, status):
    reply = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%b: %b\r\n\r\n" % (status, header.encode(), value)
    with RawServer(reply) as server, pytest.raises(VideoDBAPIError) as caught:
        BillingClient(API_KEY, base_url=server.url, max_retries=0).get_usage()
    for text in (str(caught.value), caught.value.request_id or ""):
        assert text.isprintable()
        assert len(text) < 1500


def test_link_with_a_lost_character_is_refused():
    body = rb'{"data": {"url": "https://pay.example/\ud800"}}'
    with RawServer(raw_response(body)) as server, pytest.raises(VideoDBResponseError, match="address of a web page"):
        BillingClient(API_KEY, base_url=server.url, max_retries=0).topup(5)


@pytest.mark.parametrize(
    "piece",
    ["{},", "[],", "1,", "0.1,", '"a",', '{"a":{}},'],
    ids=["objects", "lists", "ints", "floats", "texts", "deep"],
)
def test_body_of_too_many_values_is_not_decoded(piece):
    body = f"[{piece * 1_100_000}0]".encode()
    tracemalloc.start()
    try:
        assert read(body) is None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1024 * 1024


def test_list_of_a_hundred_thousand_checkouts_is_decoded():
    entry = '{"id": "cs_1", "amount": 5, "currency": "usd", "status": "completed", "created_at": "2024-01-15"}'
    assert len(read(f"[{', '.join([entry] * 100_000)}]")) == 100_000
