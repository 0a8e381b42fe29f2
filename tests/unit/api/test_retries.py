"""A failed read is retried, at the right moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api.retries import read_retry_after
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBGatewayError
from tests.conftest import API_KEY
from tests.support.api import OK, failure_of, get, post, transport
from tests.support.raw_server import RawServer, raw_response
from tests.support.roads import PAGE


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_gateway_refusal_is_retried_by_get(waits, status):
    with RawServer(raw_response(PAGE, status), OK) as server:
        assert get(server.url, max_retries=1)["success"] is True
    assert len(waits) == 1


def test_gateway_refusal_ends_get_after_its_tries(waits):
    with RawServer(raw_response(PAGE, 403)) as server:
        assert type(failure_of(get, server.url, max_retries=2)) is VideoDBGatewayError
    assert len(server.requests) == 3


def test_gateway_refusal_may_ask_to_wait(waits):
    with RawServer(raw_response(b"", 403, Retry_After="7"), OK) as server:
        get(server.url, max_retries=1)
    assert 7 <= waits[0] <= 8


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("refuse", {}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("hang", {}),
        ("status", {"status": 408}),
        ("status", {"status": 429, "retry_after": "0"}),
        ("status", {"status": 500}),
        ("status", {"status": 503, "retry_after": "0"}),
        ("html", {}),
        ("html", {"status": 403}),
        ("truncated", {}),
        ("redirect", {"location": "/elsewhere"}),
    ],
)
def test_post_is_sent_once_whatever_happens(fault, options):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.add_fault(fault, times=None, **options)
        failure_of(post, emulator.base_url, timeout=0.3, max_retries=5)
        assert len(emulator.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("refuse", {}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("truncated", {}),
        ("status", {"status": 408}),
        ("status", {"status": 429}),
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("html", {}),
        ("html", {"status": 403}),
    ],
)
def test_get_is_retried_until_it_works(waits, fault, options):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.add_fault(fault, times=2, **options)
        assert get(emulator.base_url, max_retries=2)["success"] is True
        assert len(emulator.calls()) == 3
    assert len(waits) == 2


def test_get_is_retried_when_host_was_away(waits, monkeypatch):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.stop()
        monkeypatch.setattr("time.sleep", lambda _: emulator.start())
        assert get(emulator.base_url, max_retries=1)["success"] is True


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_refused_get_is_not_retried(waits, status):
    with RawServer(raw_response({"success": False}, status)) as server:
        failure_of(get, server.url, max_retries=3)
    assert len(server.requests) == 1
    assert waits == []


def test_waits_double_with_jitter_up_to_a_cap(waits):
    with RawServer(raw_response(b"", 500)) as server:
        failure_of(get, server.url, max_retries=7)
    assert len(server.requests) == 8
    for wait, base in zip(waits, [0.5, 1, 2, 4, 8, 8, 8], strict=True):
        assert base <= wait <= base + 0.5
    assert len({round(wait % 0.5, 6) for wait in waits}) > 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "low", "high"),
    [
        ("7", 7, 7),
        ("7.25", 7.25, 7.25),
        ("60", 60, 60),
        ("0", 0.5, 1),
        ("-3", 0.5, 1),
        ("soon", 0.5, 1),
        ("nan", 0.5, 1),
        ("inf", 0.5, 1),
        ("", 0.5, 1),
        ("Mon, 99 Foo 2024", 0.5, 1),
        ("Mon, 15 Jan 2024 10:30:00 GMT", 0.5, 1),
    ],
)
def test_wait_is_as_long_as_asked(waits, status, retry_after, low, high):
    with RawServer(raw_response(b"", status, Retry_After=retry_after), OK) as server:
        get(server.url, max_retries=1)
    assert len(waits) == 1
    assert low <= waits[0] <= high


@pytest.mark.parametrize("clock_is_off_by", [timedelta(0), timedelta(days=1), timedelta(days=-1)])
def test_wait_may_be_asked_for_as_a_date(waits, clock_is_off_by):
    its_clock = datetime.now(UTC) - clock_is_off_by
    headers = {
        "Date": format_datetime(its_clock, usegmt=True),
        "Retry_After": format_datetime(its_clock + timedelta(seconds=20), usegmt=True),
    }
    with RawServer(raw_response(b"", 429, **headers), OK) as server:
        get(server.url, max_retries=1)
    assert waits == [20]


def test_wait_counts_from_our_clock_without_a_date(waits):
    in_20_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    with RawServer(raw_response(b"", 429, Retry_After=in_20_seconds), OK) as server:
        get(server.url, max_retries=1)
    assert 18 <= waits[0] <= 20


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("spelling", ["61", "3600.5", "1e30", "date"])
def test_long_wait_ends_the_call_and_says_until_when(waits, status, spelling):
    later = datetime.now(UTC) + timedelta(hours=1)
    retry_after = format_datetime(later, usegmt=True) if spelling == "date" else spelling
    with RawServer(raw_response(b"", status, Retry_After=retry_after)) as server:
        error = failure_of(get, server.url, max_retries=3)
    assert waits == []
    assert len(server.requests) == 1
    assert error.retry_after > 60
    assert "asks for a pause of" in str(error)
    assert "until" in str(error)
    if spelling == "date":
        assert f"{later:%Y-%m-%d %H:}" in str(error)


def test_last_failure_is_raised(waits):
    with RawServer(raw_response(b"", 500), raw_response(b"", 502)) as server:
        error = failure_of(get, server.url, max_retries=1)
    assert error.status == 502
    assert len(waits) == 1


def test_get_survives_a_server_that_hangs_up(waits):
    with RawServer(OK, hang_up=True) as server:
        reused = transport(server.url, max_retries=1)
        for _ in range(30):
            reused.get("/billing/usage", dict)


NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def http_date(moment):
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("off", [timedelta(0), timedelta(days=400), timedelta(days=-400)])
@pytest.mark.parametrize("seconds", [0, 1, 20, 3600])
def test_retry_date_is_compared_with_response_date(off, seconds):
    its_now = NOW + off
    later = its_now + timedelta(seconds=seconds)
    assert read_retry_after(http_date(later), date=http_date(its_now)) == seconds


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Foo 2024", "Mon, 15 Jan 99999999999 10:30:00 GMT"])
def test_retry_date_is_compared_with_our_clock_otherwise(date):
    waited = read_retry_after(http_date(datetime.now(UTC) + timedelta(seconds=50)), date=date)
    assert 45 < waited <= 50


def test_retry_date_in_the_past_is_zero_seconds():
    assert read_retry_after(http_date(NOW - timedelta(hours=1)), date=http_date(NOW)) == 0


@pytest.mark.parametrize("spelling", ["Mon, 15 Jan 2024 10:30:20 -0000", "Mon, 15 Jan 2024 12:30:20 +0200"])
def test_retry_date_may_have_any_offset(spelling):
    assert read_retry_after(spelling, date=http_date(NOW)) == 20


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "soon",
        "nan",
        "inf",
        "1e999",
        "Mon, 99 Foo 2024",
        "Mon, 15 Jan 99999999999 10:30:00 GMT",
        "Mon, 15 Jan 2024 10:30:00 +999999999",
        "Mon, 15",
        ", , ,",
        "0x10",
        "\xff",
    ],
)
def test_unreadable_retry_after_asks_for_no_wait(header):
    assert read_retry_after(header, date=http_date(NOW)) is None


@given(st.text(), st.text() | st.none())
def test_any_retry_after_is_a_wait_or_none(header, date):
    waited = read_retry_after(header, date=date)
    assert waited is None or waited >= 0


def test_seconds_to_wait_do_not_depend_on_a_clock():
    assert read_retry_after("7.25", date="Mon, 15 Jan 2024 10:30:00 GMT") == 7.25
