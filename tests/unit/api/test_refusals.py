"""A refusal of VideoDB is told from a refusal of a gateway."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAuthenticationError,
    VideoDBGatewayError,
    VideoDBGatewayRateLimitError,
    VideoDBInsufficientCreditsError,
    VideoDBNotFoundError,
    VideoDBOutcomeUnknownError,
    VideoDBPermissionError,
    VideoDBRateLimitError,
    VideoDBRefusedError,
    VideoDBServerError,
)
from tests.support.api import failure_of, post
from tests.support.raw_server import RawServer, raw_response


@pytest.mark.parametrize(
    ("status", "error_class", "next_step"),
    [
        (400, VideoDBRefusedError, "check the arguments of the call"),
        (401, VideoDBAuthenticationError, "valid API key into the connection's password"),
        (402, VideoDBInsufficientCreditsError, "check the plan and the payment method"),
        (403, VideoDBPermissionError, "API key that has this permission"),
        (404, VideoDBNotFoundError, "base URL in the connection's host"),
        (405, VideoDBRefusedError, "check the arguments of the call"),
        (422, VideoDBRefusedError, "check the arguments of the call"),
        (408, VideoDBOutcomeUnknownError, "check VideoDB's console before you send it again"),
        (409, VideoDBOutcomeUnknownError, "check VideoDB's console before you send it again"),
        (499, VideoDBOutcomeUnknownError, "check VideoDB's console before you send it again"),
        (429, VideoDBRateLimitError, "send fewer requests"),
        (500, VideoDBServerError, "check VideoDB's console before you send it again"),
        (502, VideoDBServerError, "check VideoDB's console before you send it again"),
        (599, VideoDBServerError, "check VideoDB's console before you send it again"),
        (200, VideoDBRefusedError, "check the arguments of the call"),
    ],
)
def test_refusal_names_call_response_and_next_step(status, error_class, next_step):
    body = {"success": False, "message": "no\n such  luck", "error_code": "E_17"}
    with RawServer(raw_response(body, status, X_Request_Id="req-9")) as server:
        error = failure_of(post, server.url)
    assert type(error) is error_class
    assert (error.status, error.error_code, error.request_id) == (status, "E_17", "req-9")
    for part in (f"POST {server.url}/billing/topup", f"HTTP {status}", "E_17", "req-9", '"no such luck"', next_step):
        assert part in str(error)
    assert str(error).count("Next step: ") == 1


#: What gateways, proxies and API managers refuse with.
FOREIGN_REFUSALS = {
    "page": b"<!doctype html><title>Just a moment...</title>",
    "nothing": b"",
    "text": b"Forbidden",
    "list": b"[]",
    "word": b'"denied"',
    "null": b"null",
    "empty object": b"{}",
    "message": b'{"message": "Forbidden"}',
    "detail": b'{"detail": "Not authenticated"}',
    "code and message": b'{"statusCode": 401, "message": "Access denied due to invalid subscription key."}',
    "fault": b'{"fault": {"faultstring": "Invalid ApiKey", "detail": {"errorcode": "oauth.v2.InvalidApiKey"}}}',
    "errors": b'{"errors": [{"code": 1020, "message": "Access denied"}]}',
    "words for values": b'{"success": "false", "error_code": null}',
    "success": b'{"success": true, "data": {}}',
    "empty code": b'{"error_code": ""}',
    "code": b'{"error_code": "E_17"}',
    "cloudflare": b'{"cloudflare_error": true, "error_code": 1020, "message": "Access denied"}',
    "code that is a list": b'{"error_code": ["E"]}',
    "cut": b'{"success": false, "mess',
    "not utf-8": b'{"success": false, "message": "\xff"}',
}


#: The shortest that VideoDB's own refusals can be.
OWN_REFUSALS = [
    b'{"success": false}',
    b'{"success": false, "message": null, "error_code": null}',
    b'{"success": false, "message": ["x"]}',
    b'{"success": false, "extra": NaN}',
]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 407, 413, 418, 422, 451])
@pytest.mark.parametrize("body", FOREIGN_REFUSALS.values(), ids=FOREIGN_REFUSALS)
def test_gateway_refusal_proves_nothing(status, body):
    with RawServer(raw_response(body, status, Content_Type="text/html", X_Request_Id="ray-1")) as server:
        error = failure_of(post, server.url)
    assert type(error) is VideoDBGatewayError
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)
    assert not isinstance(error, NO_EFFECT_ERRORS)
    assert (error.status, error.request_id) == (status, "ray-1")
    for part in (f"HTTP {status}", f"{len(body)} bytes of text/html", "VideoDB did not write it", "proxy", "base URL"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (401, VideoDBAuthenticationError),
        (402, VideoDBInsufficientCreditsError),
        (403, VideoDBPermissionError),
        (404, VideoDBNotFoundError),
        (400, VideoDBRefusedError),
    ],
)
@pytest.mark.parametrize("body", OWN_REFUSALS)
def test_videodb_refusal_is_known_by_its_shape(status, error_class, body):
    with RawServer(raw_response(body, status)) as server:
        assert type(failure_of(post, server.url)) is error_class


@pytest.mark.parametrize("body", [*FOREIGN_REFUSALS.values(), *OWN_REFUSALS], ids=range(24))
@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (408, VideoDBOutcomeUnknownError),
        (409, VideoDBOutcomeUnknownError),
        (425, VideoDBOutcomeUnknownError),
        (499, VideoDBOutcomeUnknownError),
        (500, VideoDBServerError),
        (502, VideoDBServerError),
        (530, VideoDBServerError),
        (999, VideoDBServerError),
    ],
)
def test_status_counts_whatever_the_body(status, error_class, body):
    with RawServer(raw_response(body, status)) as server:
        assert type(failure_of(post, server.url)) is error_class


@pytest.mark.parametrize("body", OWN_REFUSALS)
def test_429_of_videodb_proves_nothing_was_done(body):
    with RawServer(raw_response(body, 429, Retry_After="7")) as server:
        error = failure_of(post, server.url)
    assert (type(error), error.retry_after) == (VideoDBRateLimitError, 7)
    assert not isinstance(error, OUTCOME_UNKNOWN_ERRORS)


@pytest.mark.parametrize("body", FOREIGN_REFUSALS.values(), ids=FOREIGN_REFUSALS)
def test_429_of_gateway_asks_to_wait_and_proves_nothing(body):
    with RawServer(raw_response(body, 429, Retry_After="7")) as server:
        error = failure_of(post, server.url)
    assert isinstance(error, VideoDBRateLimitError)
    assert error.retry_after == 7
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 %d X\r\nContent-Length: 500\r\n\r\n<html>",
        b"HTTP/1.1 %d X\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 %d X\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
@pytest.mark.parametrize(
    ("status", "error_class"),
    [(403, VideoDBGatewayError), (429, VideoDBGatewayRateLimitError), (503, VideoDBServerError)],
)
def test_status_counts_although_body_is_lost(status, error_class, reply):
    with RawServer(reply % status, hang_up=True) as server:
        error = failure_of(post, server.url)
    assert (type(error), error.status) == (error_class, status)


def test_message_is_quoted_in_part():
    with RawServer(raw_response({"success": False, "message": "m" * 5000, "error_code": "c" * 5000}, 400)) as server:
        assert len(str(failure_of(post, server.url))) < 1500


def test_control_characters_are_not_quoted():
    body = b'{"success": false, "message": "\\u001b[2Jcleared\\ud800\\u2028\\u0000"}'
    with RawServer(raw_response(body, 400)) as server:
        message = str(failure_of(post, server.url))
    assert message.isprintable()
    message.encode()
