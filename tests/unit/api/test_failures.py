from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.api.failures import error_for_status, is_error_of_videodb, read_retry_after
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBGatewayError,
    VideoDBRefusedError,
    is_permanent,
)

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


def http_date(moment):
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("off", [timedelta(0), timedelta(days=400), timedelta(days=-400)])
@pytest.mark.parametrize("seconds", [0, 1, 20, 3600])
def test_date_to_wait_for_is_measured_from_the_date_of_the_response(off, seconds):
    its_now = NOW + off
    later = its_now + timedelta(seconds=seconds)
    assert read_retry_after(http_date(later), date=http_date(its_now)) == seconds


@pytest.mark.parametrize("date", [None, "", "soon", "Mon, 99 Foo 2024", "Mon, 15 Jan 99999999999 10:30:00 GMT"])
def test_date_to_wait_for_is_measured_from_our_clock_without_a_date_of_the_response(date):
    waited = read_retry_after(http_date(datetime.now(UTC) + timedelta(seconds=50)), date=date)
    assert 45 < waited <= 50


def test_date_that_has_passed_is_no_wait():
    assert read_retry_after(http_date(NOW - timedelta(hours=1)), date=http_date(NOW)) == 0


@pytest.mark.parametrize("spelling", ["Mon, 15 Jan 2024 10:30:20 -0000", "Mon, 15 Jan 2024 12:30:20 +0200"])
def test_date_may_have_any_offset(spelling):
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
def test_header_that_says_nothing_asks_for_no_wait(header):
    assert read_retry_after(header, date=http_date(NOW)) is None


@given(st.text(), st.text() | st.none())
def test_whatever_the_headers_say_is_a_wait_or_none(header, date):
    waited = read_retry_after(header, date=date)
    assert waited is None or waited >= 0


def test_seconds_do_not_depend_on_any_clock():
    assert read_retry_after("7.25", date="Mon, 15 Jan 2024 10:30:00 GMT") == 7.25


@pytest.mark.parametrize("fields", [{"success": False}, {"success": False, "error_code": "E"}])
def test_error_of_videodb_is_known_by_its_fields(fields):
    assert is_error_of_videodb(fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"success": True},
        {"success": None},
        {"success": 0},
        {"success": "false"},
        {"message": "Forbidden"},
        {"error_code": None},
        {"error_code": "E"},
        {"error_code": 7, "success": True},
        {"cloudflare_error": True, "error_code": 1020},
        {"error_code": ""},
        {"error_code": True},
        {"error_code": False},
        {"error_code": []},
        {"error": "forbidden"},
    ],
)
def test_error_of_another_shape_is_not_videodbs(fields):
    assert not is_error_of_videodb(fields)


@pytest.mark.parametrize("status", range(400, 429))
def test_refusal_that_videodb_did_not_write_is_neither_permanent_nor_proof(status):
    error, next_step = error_for_status(status, None, from_videodb=False)
    if status in (408, 409, 425):
        assert issubclass(error, OUTCOME_UNKNOWN_ERRORS)
        return
    assert error is VideoDBGatewayError
    assert issubclass(error, OUTCOME_UNKNOWN_ERRORS)
    assert not issubclass(error, NO_EFFECT_ERRORS)
    assert not is_permanent(error(next_step))
    assert "between here and VideoDB" in next_step
    assert issubclass(error_for_status(status, None, from_videodb=True)[0], VideoDBRefusedError)


@pytest.mark.parametrize("dialect", ["openapi", "sample"])
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/billing/usage", None, 401),
        ("POST", "/billing/topup", {"amount": -5}, 400),
        ("POST", "/billing/topup", {"amount": 5}, 401),
        ("POST", "/billing/checkout", {"mode": "gift"}, 400),
        ("POST", "/billing/auto_recharge", {}, 400),
        ("GET", "/billing/checkouts?limit=x", None, 400),
        ("GET", "/billing/nothing", None, 404),
        ("DELETE", "/billing/usage", None, 405),
        ("GET", "/nowhere", None, 404),
    ],
)
def test_every_refusal_of_the_emulator_has_the_shape_of_videodb(dialect, method, path, body, status):
    with Emulator(dialect=dialect) as emulator:
        key = "sk-wrong" if status == 401 else emulator.api_key
        refused = requests.request(
            method, emulator.base_url + path, json=body, headers={"x-access-token": key}, timeout=10
        )
    assert refused.status_code == status
    assert is_error_of_videodb(refused.json())


@pytest.mark.parametrize("dialect", ["openapi", "sample"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
def test_every_failure_that_the_emulator_is_asked_for_has_the_shape_of_videodb(dialect, status):
    with Emulator(dialect=dialect) as emulator:
        emulator.add_fault("status", status=status)
        failed = requests.get(f"{emulator.base_url}/billing/usage", timeout=10)
    assert failed.status_code == status
    assert is_error_of_videodb(failed.json())
