"""The API key is on no exception, log line or repr."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import VideoDBConfigError
from tests.conftest import API_KEY
from tests.support.api import OK, failure_of, post, transport
from tests.support.raw_server import RawServer, raw_response


@pytest.mark.parametrize(
    "api_key",
    ["", " ", "sk-with space", "sk-line\nbreak", "sk-tail\n", "\tsk-tab", "sk-\u00e4\u00f6", "sk-\x00nul", "sk-\u2028"],
)
def test_impossible_key_is_refused_without_showing_it(api_key):
    with pytest.raises(VideoDBConfigError) as caught:
        transport("https://api.videodb.io", api_key=api_key)
    assert "sk-" not in repr(caught.value)
    assert "password" in str(caught.value)


def reachable_texts(error):
    """Yield everything a debugger, a logger or an error tracker would find on an exception chain."""
    todo, seen = [error], set()
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type) or thing is None:
            continue
        seen.add(id(thing))
        yield str(thing)
        yield repr(thing)
        if isinstance(thing, BaseException):
            todo += [thing.__cause__, thing.__context__, *thing.args]
        if isinstance(thing, dict):
            todo += [*thing, *thing.values()]
        elif isinstance(thing, list | tuple | set):
            todo += thing
        else:
            todo += vars(thing).values() if hasattr(thing, "__dict__") else []


@pytest.mark.parametrize(
    "reply",
    [
        raw_response(
            {"success": False, "message": f"bad key {API_KEY}", "error_code": API_KEY}, 401, X_Request_Id=API_KEY
        ),
        raw_response({"success": False, "message": "x" * 290 + API_KEY}, 400),
        raw_response({"success": False, "message": API_KEY}),
        raw_response(b"<html>" + API_KEY.encode(), Content_Type=f"text/html; key={API_KEY}"),
        raw_response(b"", 302, Location=f"https://elsewhere.example/?k={API_KEY}", Request_Id=API_KEY),
        raw_response({"success": API_KEY}),
        raw_response({"success": True, "data": {"url": {"k": API_KEY}}}),
        raw_response({"success": True, "data": API_KEY}),
        raw_response(b"", 500, X_Request_Id=API_KEY, Retry_After=API_KEY),
        f"{API_KEY} 200 OK\r\n\r\n".encode(),
        f"HTTP/1.1 {API_KEY} OK\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 5, {API_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n{API_KEY}".encode(),
        f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\nX: {API_KEY}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nx-access-token {API_KEY}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        b"",
    ],
    ids=range(15),
)
@pytest.mark.parametrize("call", [BillingClient.get_usage, lambda client: client.topup(5)], ids=["get", "post"])
def test_echoed_key_is_nowhere_on_the_exception(caplog, capsys, reply, call):
    caplog.set_level(logging.DEBUG)
    with RawServer(reply, hang_up=True) as server:
        error = failure_of(call, BillingClient(API_KEY, base_url=server.url, max_retries=0))
    for found in reachable_texts(error):
        # Half a key is one too many as well.
        assert API_KEY[:12] not in found
    assert API_KEY[:12] not in caplog.text
    assert API_KEY[:12] not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("url", "timeout"),
    [("http://127.0.0.1:1", 5), ("https://no-such-host.invalid", 5)],
)
def test_key_is_nowhere_on_the_exception_of_unsent_request(caplog, url, timeout):
    caplog.set_level(logging.DEBUG)
    error = failure_of(post, url, timeout=timeout)
    assert not any(API_KEY in found for found in reachable_texts(error))
    assert API_KEY not in caplog.text


def test_debug_log_of_urllib3_has_no_key(caplog):
    caplog.set_level(logging.DEBUG)
    with RawServer(OK) as server:
        post(server.url)
    assert "POST /billing/topup" in caplog.text
    assert API_KEY not in caplog.text


def test_objects_with_the_key_do_not_show_it():
    client = BillingClient(API_KEY)
    for thing in (client, client._transport, client._transport._session, client._transport._session.auth):
        assert API_KEY not in repr(thing)
        assert API_KEY not in str(thing)
