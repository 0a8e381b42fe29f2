"""
Whatever bytes arrive, and however they arrive, a call ends in time with a right value or one typed error.

Each piece of a response is right or broken, so that faults meet. `make fuzz` runs many more examples.
"""

from __future__ import annotations

import gzip
import json
import os
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_videodb.api.client import BillingClient
from tests.support.canned import outcome_of
from tests.support.hostile import CALLS, DIALECTS, KEY, example_of
from tests.support.raw_server import RawServer

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", "50")) // 5
TIMEOUT = 0.4
#: A read of settings follows a POST of settings.
LONGEST = 2 * TIMEOUT + 2
INTERIM = [
    b"",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 500,
]
STATUS_LINES = [
    *(f"HTTP/1.1 {status} X\r\n".encode() for status in (200, 200, 200, 204, 302, 304, 401, 407, 429, 500, 599, 999)),
    b"HTTP/1.0 200\r\n",
    b"HTTP/2 200\r\n",
    b"HTTP/1.1 20\r\n",
    b"HTTP/1.1 -1 X\r\n",
    b"ICY 200 OK\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    KEY.encode() + b"\r\n",
    b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n",
]
HEADERS = [
    b"",
    b"Content-Type: text/html\r\n",
    b"Retry-After: 1e400\r\n",
    b"Location: //elsewhere.example/\r\n",
    b"Connection: close\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: deflate, gzip\r\n",
    b"x-access-token: " + KEY.encode() + b"\r\n",
    b"no colon " + KEY.encode() + b"\r\n",
    b"X: a\x00\xff\r\n",
    b" folded: 1\r\n",
    b"X: 1\r\n" * 150,
    b"Set-Cookie: a=" + KEY.encode() + b"; Expires=Mon, 99 Jan 99999 99:99:99 GMT\r\n",
]
SHAPES = {
    "whole": lambda body: body,
    "half": lambda body: body[: len(body) // 2],
    "nothing": lambda _: b"",
    "one chunk": lambda body: b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    "chunk without end": lambda body: b"%x\r\n%b\r\n" % (len(body), body),
    "bad chunk": lambda body: b"zz\r\n%b\r\n0\r\n\r\n" % body,
    "long chunk": lambda body: b"ffffffffffffffffff\r\n%b" % body,
    "gzip": gzip.compress,
    "cut gzip": lambda body: gzip.compress(body)[:-9],
    "twice packed": lambda body: gzip.compress(zlib.compress(body)),
    "bomb": lambda _: gzip.compress(b" " * 20_000_000, 1),
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "two responses": lambda body: body + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=max(EXAMPLES, 1), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    dialect=st.sampled_from(DIALECTS),
    interim=st.sampled_from(INTERIM) | st.just(b""),
    status_line=st.sampled_from(STATUS_LINES) | st.just(b"HTTP/1.1 200 OK\r\n"),
    headers=st.lists(st.sampled_from(HEADERS), max_size=3),
    with_length=st.booleans(),
    shape=st.sampled_from(sorted(SHAPES)) | st.just("whole"),
    slowly=st.integers(0, 4).map(lambda number: number == 0),
    hang_up=st.booleans(),
)
def test_any_bytes_end_a_call_in_time(
    name, dialect, interim, status_line, headers, with_length, shape, slowly, hang_up
):
    body = SHAPES[shape](json.dumps(example_of(name, dialect)).encode())
    length = b"Content-Length: %d\r\n" % len(body) if with_length else b""
    sent = interim + status_line + b"".join(headers) + length + b"\r\n" + body

    def drip(_):
        return server.dripping((sent[at : at + 1] for at in range(len(sent))), every=0.02)

    with RawServer(drip if slowly else sent, hang_up=hang_up) as server:
        client = BillingClient(KEY, base_url=server.url, timeout=TIMEOUT, max_retries=0)
        began = time.monotonic()
        outcome_of(CALLS[name][0], client)
        took = time.monotonic() - began
        client.close()
    assert took < LONGEST
