"""Each HTTP status and each broken connection becomes one of our errors."""

from __future__ import annotations

import gzip

import pytest
import requests

from airflow_provider_videodb.api.failures import error_for_status, is_error_of_videodb
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    PERMANENT_ERRORS,
    VideoDBGatewayError,
    VideoDBOutcomeUnknownError,
    VideoDBRefusedError,
)
from tests.support.api import OK, failure_of, get, post
from tests.support.raw_server import RawServer, answer

BROKEN_CONNECTIONS = {
    "no answer": b"",
    "half a status line": b"HTTP/1.",
    "another protocol": b"220 mail.example ESMTP\r\n",
    "cut in the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "cut in the body": b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"success": true, "data"',
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{",
    "no gzip": answer(b"{}", Content_Encoding="gzip"),
    "an encoding nobody asked for": answer(b"{}", Content_Encoding="br"),
    "two encodings": answer(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"),
    "another protocol to go on with": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "hints without an answer": b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    "headers without a colon": b"HTTP/1.1 200 OK\r\nContent Length\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "too large": answer(b" " * (17 * 1024 * 1024) + b"{}"),
}


@pytest.mark.parametrize("call", [get, post])
@pytest.mark.parametrize("bytes_sent", BROKEN_CONNECTIONS.values(), ids=BROKEN_CONNECTIONS)
def test_broken_response_leaves_outcome_unknown(call, bytes_sent):
    with RawServer(bytes_sent, hang_up=True) as server:
        error = failure_of(call, server.url)
    assert type(error) is VideoDBOutcomeUnknownError
    assert "may or may not have been carried out" in str(error)
    assert len(server.requests) == 1


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
def test_gateway_refusal_is_neither_permanent_nor_proof(status):
    error, next_step = error_for_status(status, None, from_videodb=False)
    if status in (408, 409, 425):
        assert issubclass(error, OUTCOME_UNKNOWN_ERRORS)
        return
    assert error is VideoDBGatewayError
    assert issubclass(error, OUTCOME_UNKNOWN_ERRORS)
    assert not issubclass(error, (*NO_EFFECT_ERRORS, *PERMANENT_ERRORS))
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
def test_emulator_refuses_in_the_shape_of_videodb(dialect, method, path, body, status):
    with Emulator(dialect=dialect) as emulator:
        key = "sk-wrong" if status == 401 else emulator.api_key
        refused = requests.request(
            method, emulator.base_url + path, json=body, headers={"x-access-token": key}, timeout=10
        )
    assert refused.status_code == status
    assert is_error_of_videodb(refused.json())


@pytest.mark.parametrize("dialect", ["openapi", "sample"])
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
def test_emulator_fails_in_the_shape_of_videodb(dialect, status):
    with Emulator(dialect=dialect) as emulator:
        emulator.add_fault("status", status=status)
        failed = requests.get(f"{emulator.base_url}/billing/usage", timeout=10)
    assert failed.status_code == status
    assert is_error_of_videodb(failed.json())
