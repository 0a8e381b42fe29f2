"""A response arrives within its timeout, and writes are noted."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time

import pytest
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from airflow_provider_videodb.api.read_deadline import noting_writes, with_deadlines
from airflow_provider_videodb.api.session import VideoDBSession
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBOutcomeUnknownError
from tests.conftest import API_KEY
from tests.support.api import failure_of, get, post
from tests.support.raw_server import RawServer, raw_response
from tests.support.roads import page


@pytest.mark.parametrize("call", [get, post])
def test_silent_server_ends_the_call_in_time(call):
    with Emulator(api_key=API_KEY) as emulator:
        emulator.add_fault("hang", times=None)
        began = time.monotonic()
        error = failure_of(call, emulator.base_url, timeout=0.3)
        took = time.monotonic() - began
    assert type(error) is VideoDBOutcomeUnknownError
    assert 0.25 < took < 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", *[b" "] * 9000],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 9000],
        [b"HTTP/1.1 200 OK\r\n", *[b"X-Padding: 1\r\n"] * 90],
        [b"HTTP/1.1 ", *[b"2"] * 9000],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 9000,
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9000\r\n\r\n", *[b"\0"] * 9000],
    ],
    ids=["body", "chunks", "headers", "status line", "continue", "compressed body"],
)
def test_dripping_server_ends_the_call_in_time(pieces):
    def drip(_):
        return server.dripping(pieces, every=0.05)

    with RawServer(drip) as server:
        began = time.monotonic()
        error = failure_of(post, server.url, timeout=0.4)
        took = time.monotonic() - began
    assert isinstance(error, VideoDBOutcomeUnknownError)
    assert took < 3


def test_slow_response_within_the_timeout_is_read():
    whole = gzip.compress(b'{"success": true, "data": {"a": 1}}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(whole)
    # The first bytes of a compressed body decompress to nothing, which is not its end.
    pieces = [head, *(whole[at : at + 4] for at in range(0, len(whole), 4))]

    with RawServer(lambda _: server.dripping(pieces, every=0.01)) as server:
        assert get(server.url) == {"success": True, "data": {"a": 1}}


@pytest.mark.parametrize("reply", [b"", page(403), raw_response({"success": True})])
def test_request_to_plain_proxy_counts_as_written(trusted, monkeypatch, reply):
    with RawServer(reply, hang_up=True) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with noting_writes() as writing, contextlib.suppress(OSError):
            VideoDBSession(api_key=API_KEY, user_agent="x", loopback=False).post("http://api.videodb.test/", timeout=5)
        assert writing.begun
    assert [request.method for request in proxy.requests] == ["POST"]


def test_refused_plain_proxy_counts_as_not_written(trusted, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with noting_writes() as writing, pytest.raises(OSError, match="refused"):
        VideoDBSession(api_key=API_KEY, user_agent="x", loopback=False).post("http://api.videodb.test/", timeout=5)
    assert not writing.begun


def test_writes_of_other_requests_are_not_noted():
    session = VideoDBSession(api_key=API_KEY, user_agent="x", loopback=True)
    with RawServer(raw_response({})) as server:
        with noting_writes() as earlier:
            session.get(server.url, timeout=5)
        with noting_writes() as later:
            thread = threading.Thread(target=lambda: session.get(server.url, timeout=5))
            thread.start()
            thread.join(10)
    assert (earlier.begun, later.begun, len(server.requests)) == (True, False, 2)


def test_pool_gets_deadlines_once_and_keeps_its_class():
    class SocksConnection(HTTPSConnection):
        pass

    class SocksPool(HTTPSConnectionPool):
        ConnectionCls = SocksConnection

    pool = with_deadlines(SocksPool)
    assert issubclass(pool, SocksPool)
    assert issubclass(pool.ConnectionCls, SocksConnection)
    assert with_deadlines(pool) is pool
