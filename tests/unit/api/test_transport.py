"""One request and what its response means."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_videodb import __version__
from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import (
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBGatewayError,
    VideoDBResponseError,
)
from tests.conftest import API_KEY
from tests.support.api import LINK, OK, failure_of, get, post, transport
from tests.support.raw_server import RawServer, raw_response

#: Successful responses that VideoDB did not write: a page, half a response, other JSON.
FOREIGN_RESPONSES = {
    "html": raw_response(b"<html>down for maintenance</html>", Content_Type="text/html"),
    "empty": raw_response(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "list": raw_response([1, 2]),
    "text": raw_response("fine"),
    "null": raw_response(None),
    "not json": raw_response(b'{"success": true'),
    "not utf-8": raw_response(b'{"a": "\xff\xfe"}'),
    "nested without end": raw_response(b"[" * 100_000),
    "nested too deep": raw_response(b'{"data": ' + b"[" * 40 + b"]" * 40 + b"}"),
    "cut without notice": b'HTTP/1.0 200 OK\r\n\r\n{"success": tr',
}


#: Responses in VideoDB's form with content that no call documents.
UNREADABLE_ANSWERS = {
    "success that is a word": raw_response({"success": "true"}),
    "success that is null": raw_response({"success": None}),
    "processing": raw_response({"success": True, "status": "processing", "data": {"output_url": "https://x.example"}}),
}


@pytest.mark.parametrize("call", [get, post])
@pytest.mark.parametrize("bytes_sent", UNREADABLE_ANSWERS.values(), ids=UNREADABLE_ANSWERS)
def test_unreadable_response_is_not_a_refusal(call, bytes_sent):
    with RawServer(bytes_sent, hang_up=True) as server:
        error = failure_of(call, server.url, max_retries=3)
    assert type(error) is VideoDBResponseError
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)
    assert f"{server.requests[0].method} {server.url}{server.requests[0].path}" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("call", "sent"), [(get, 4), (post, 1)])
@pytest.mark.parametrize("bytes_sent", FOREIGN_RESPONSES.values(), ids=FOREIGN_RESPONSES)
def test_success_in_another_shape_is_a_gateway_error(waits, call, sent, bytes_sent):
    # Where nothing says how long a body is, its end is that of the connection.
    with RawServer(bytes_sent, hang_up=bytes_sent.startswith(b"HTTP/1.0")) as server:
        error = failure_of(call, server.url, max_retries=3)
    assert type(error) is VideoDBGatewayError
    assert isinstance(error, VideoDBResponseError)
    assert isinstance(error, OUTCOME_UNKNOWN_ERRORS)
    assert error.status in (200, 204)
    assert f"{server.requests[0].method} {server.url}{server.requests[0].path}" in str(error)
    assert "base URL" in str(error)
    assert len(server.requests) == sent


@pytest.mark.parametrize(("timeout", "expected"), [(5.0, (5.0, 5.0)), (30.0, (10.0, 30.0)), (0.5, (0.5, 0.5))])
@pytest.mark.parametrize("call", [get, post])
def test_call_has_timeouts_for_connection_and_response(monkeypatch, call, timeout, expected):
    seen = []
    original = requests.Session.request

    def request(self, *args, **kwargs):
        seen.append(kwargs["timeout"])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", request)
    with RawServer(OK) as server:
        call(server.url, timeout=timeout)
    assert seen == [expected]


def test_one_connection_serves_many_calls():
    with RawServer(OK) as server:
        reused = transport(server.url)
        for _ in range(5):
            reused.get("/billing/usage", dict)
    assert len(server.requests) == 5
    assert server.connections == 1


def test_post_opens_a_fresh_connection():
    """On an idle connection it may cross with the server's hanging up: then its outcome would be unknown."""
    with RawServer(OK) as server:
        reused = transport(server.url)
        for expected in range(2, 30):
            reused.get("/billing/usage", dict)
            reused.post("/billing/topup", dict, payload={})
            assert server.connections == expected


def test_bytes_after_a_response_are_dropped():
    with RawServer(OK + raw_response({"success": True, "data": "stale"}), raw_response({"data": "fresh"})) as server:
        reused = transport(server.url)
        reused.get("/a", dict)
        assert reused.get("/b", dict) == {"data": "fresh"}


def test_closed_client_holds_no_connection():
    with RawServer(OK) as server:
        closed = BillingClient(API_KEY, base_url=server.url, max_retries=0)
        for expected in (1, 2):
            failure_of(closed.get_usage)
            assert server.connections == expected
            closed.close()


def test_request_names_its_sender():
    with RawServer(LINK) as server:
        BillingClient(API_KEY, base_url=server.url).topup(5)
    headers = server.requests[0].headers
    assert headers["user-agent"] == f"airflow-provider-videodb/{__version__}"
    assert headers["x-access-token"] == API_KEY
    assert headers["accept"] == "application/json"
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers
