"""Each HTTP status and each broken connection becomes one of our errors."""

from __future__ import annotations

import errno
import gzip
import ssl

import pytest
import requests
import urllib3

from airflow_provider_videodb.api.failures import describe_exception, error_for_status, is_error_of_videodb
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBGatewayError,
    VideoDBOutcomeUnknownError,
    VideoDBRefusedError,
    is_permanent,
)
from tests.support.api import OK, failure_of, free_port, get, post
from tests.support.raw_server import RawServer, raw_response

CLOSED = "the connection was closed before a response arrived"
NOT_HTTP = "the response is not valid HTTP"
INCOMPLETE = "the response is not complete"
CHECK_FIRST = "check VideoDB's console before you send it again."
COMPRESSED = "the response cannot be decompressed"
BROKEN_RESPONSES = {
    "nothing": (b"", CLOSED),
    "half a status line": (b"HTTP/1.", NOT_HTTP),
    "another protocol": (b"220 mail.example ESMTP\r\n", NOT_HTTP),
    "cut in the headers": (b"HTTP/1.1 200 OK\r\nContent-Le", NOT_HTTP),
    "cut in the body": (b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"success": true, "data"', INCOMPLETE),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", INCOMPLETE),
    "cut chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{", INCOMPLETE),
    "not gzip": (raw_response(b"{}", Content_Encoding="gzip"), COMPRESSED),
    "an encoding nobody asked for": (raw_response(b"{}", Content_Encoding="br"), COMPRESSED),
    "two encodings": (raw_response(gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"), COMPRESSED),
    "switch to another protocol": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", NOT_HTTP),
    "hints without a response": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, NOT_HTTP),
    "header without a colon": (b"HTTP/1.1 200 OK\r\nContent Length\r\nContent-Length: 2\r\n\r\n{}", NOT_HTTP),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", NOT_HTTP),
    "endless headers": (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n", NOT_HTTP),
    "long header": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", NOT_HTTP),
    "too large": (raw_response(b" " * (17 * 1024 * 1024) + b"{}"), "the response is longer than 16 MiB"),
}


@pytest.mark.parametrize(
    ("call", "next_step"),
    [
        (get, "Next step: try again later."),
        (post, f"VideoDB may or may not have carried it out. Next step: {CHECK_FIRST}"),
    ],
)
@pytest.mark.parametrize(("bytes_sent", "reason"), BROKEN_RESPONSES.values(), ids=BROKEN_RESPONSES)
def test_broken_response_leaves_outcome_unknown(call, next_step, bytes_sent, reason):
    with RawServer(bytes_sent, hang_up=True) as server:
        error = failure_of(call, server.url)
    assert type(error) is VideoDBOutcomeUnknownError
    (request,) = server.requests
    asked = f"{request.method} {server.url}{request.path}"
    assert str(error) == f"{asked} was sent, but its response was lost, because {reason}. {next_step}"


@pytest.mark.parametrize(
    ("url", "proxy", "reason"),
    [
        ("https://no-such-host.invalid", "", "the host name could not be resolved"),
        ("https://a..example", "", "the address of the host or of the proxy is not valid"),
        ("https://videodb.invalid", "nonsense://x", "the address of the host or of the proxy is not valid"),
        ("https://videodb.invalid", "http://127.0.0.1:{port}", "the connection was refused"),
    ],
)
def test_unsent_request_says_in_words_why(monkeypatch, url, proxy, reason):
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(port=free_port()))
    assert str(failure_of(post, url)) == (
        f"POST {url}/billing/topup was not sent, because {reason}. VideoDB did nothing. "
        "Next step: check the network, the base URL (the connection's host) and the proxy."
    )


@pytest.mark.parametrize(
    ("err", "words"),
    [
        (OSError(errno.ENETUNREACH, "x"), "the connection failed (network is unreachable)"),
        (BrokenPipeError(), "the connection was reset"),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("x", ConnectionResetError(104, "y"))), "was reset"),
        (requests.exceptions.ProxyError("Tunnel connection failed: 407 Go away"), "refused to connect (HTTP 407)"),
        (requests.exceptions.ProxyError("HTTPSConnectionPool(host='x')"), "the proxy did not open a connection"),
        (TimeoutError("timed out"), "no complete response arrived within 7.5 s"),
        (ssl.SSLError(1, "x"), "TLS failed (no reason given)"),
        (ValueError("HTTPConnectionPool(host='x'): GuardedConnection"), "the connection failed"),
    ],
)
def test_exception_is_described_without_class_names(err, words):
    described = describe_exception(err, seconds=7.5)
    assert described.endswith(words)
    assert "Connection(" not in described
    assert "Pool" not in described


def test_exceptions_that_wrap_each_other_are_described():
    err, cause = OSError(), ValueError()
    err.__cause__, cause.__cause__ = cause, err
    assert describe_exception(err, seconds=1) == "the connection failed"


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
    error, next_step = error_for_status("POST", status, from_videodb=False)
    if status in (408, 409, 425):
        assert issubclass(error, OUTCOME_UNKNOWN_ERRORS)
        return
    assert error is VideoDBGatewayError
    assert issubclass(error, OUTCOME_UNKNOWN_ERRORS)
    assert not issubclass(error, NO_EFFECT_ERRORS)
    assert not is_permanent(error(next_step))
    assert next_step.startswith("check the proxy")
    assert issubclass(error_for_status("POST", status, from_videodb=True)[0], VideoDBRefusedError)


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
