"""No response, whichever way it takes, is read past the largest that VideoDB has."""

from __future__ import annotations

import functools
import gzip
import json
import tracemalloc
import zlib

import pytest

from airflow_provider_videodb.api.read_deadline import MAX_RESPONSE_BYTES
from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBGatewayError,
    VideoDBGatewayRateLimitError,
    VideoDBOutcomeUnknownError,
    VideoDBResponseError,
    VideoDBServerError,
)
from tests.conftest import API_KEY
from tests.support.raw_server import RawServer

MIB = 1024 * 1024
WHOLE = 600 * MIB
#: What the sockets at both ends hold in addition.
IN_FLIGHT = 32 * MIB
CHUNK = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


class Flood:
    """
    A response of 600 MB: a beginning, and then the same piece again and again.

    :param start: what it begins with.
    :param piece: what it goes on with.
    """

    def __init__(self, start, piece=b" " * 0x10000):
        self.start = start
        self.piece = piece
        self.sent = 0

    def __call__(self, _):
        yield self.start
        while self.sent < WHOLE:
            yield self.piece
            self.sent += len(self.piece)


def head(status, *headers):
    return "\r\n".join([f"HTTP/1.1 {status} X", *headers, "", ""]).encode()


def length(status, *headers):
    return head(status, f"Content-Length: {WHOLE}", *headers)


def caught_from(call, url):
    caller = Transport(api_key=API_KEY, base_url=url, timeout=30, max_retries=0, user_agent="x")
    with pytest.raises(VideoDBAPIError) as caught:
        call(caller)
    return caught.value


CALLS = {
    "get": lambda caller: caller.get("/billing/usage", dict),
    "post": lambda caller: caller.post("/billing/topup", dict, payload={"amount": 5}),
}
FLOODS = {
    "body": (length(200), b" " * 0x10000, VideoDBOutcomeUnknownError),
    "body without a length": (head(200), b" " * 0x10000, VideoDBOutcomeUnknownError),
    "chunks": (head(200, "Transfer-Encoding: chunked"), CHUNK, VideoDBOutcomeUnknownError),
    "one chunk": (
        head(200, "Transfer-Encoding: chunked") + b"7fffffff\r\n",
        b" " * 0x10000,
        VideoDBOutcomeUnknownError,
    ),
    "chunk extensions": (
        head(200, "Transfer-Encoding: chunked"),
        b"1;" + b"x" * 60_000 + b"\r\n \r\n",
        VideoDBOutcomeUnknownError,
    ),
    "trailers": (
        head(200, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n",
        b"X: " + b"y" * 60_000 + b"\r\n",
        VideoDBOutcomeUnknownError,
    ),
    "interim responses": (b"", head(100), VideoDBOutcomeUnknownError),
    "interim responses with headers": (b"", head(100, "X: " + "y" * 60_000), VideoDBOutcomeUnknownError),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60_000 + b"\r\n", VideoDBOutcomeUnknownError),
    "one header": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 0x10000, VideoDBOutcomeUnknownError),
    "status line": (b"HTTP/1.1 200 ", b"y" * 0x10000, VideoDBOutcomeUnknownError),
    **{
        f"redirect {status}": (length(status, "Location: /x"), b" " * 0x10000, VideoDBResponseError)
        for status in (301, 302, 303, 307, 308)
    },
    "redirect to another host": (
        length(302, "Location: https://elsewhere.example/"),
        b" " * 0x10000,
        VideoDBResponseError,
    ),
    "redirect in chunks": (
        head(302, "Location: /x", "Transfer-Encoding: chunked"),
        CHUNK,
        VideoDBResponseError,
    ),
    "redirect to nowhere": (length(302), b" " * 0x10000, VideoDBResponseError),
    "choices": (length(300), b" " * 0x10000, VideoDBResponseError),
    "no content": (length(204), b" " * 0x10000, VideoDBGatewayError),
    "not modified": (length(304), b" " * 0x10000, VideoDBResponseError),
    "refusal": (length(403), b" " * 0x10000, VideoDBGatewayError),
    "rate limit": (length(429), b" " * 0x10000, VideoDBGatewayRateLimitError),
    "failure": (length(503), b" " * 0x10000, VideoDBServerError),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("start", "piece", "error"), FLOODS.values(), ids=FLOODS)
def test_flood_is_not_read_to_its_end(call, start, piece, error):
    flood = Flood(start, piece)
    with RawServer(flood) as server:
        caught = caught_from(call, server.url)
    assert type(caught) is error
    assert flood.sent < MAX_RESPONSE_BYTES + IN_FLIGHT


UNPACKED = 200 * MIB


@functools.cache
def zipped(size=UNPACKED, *, layers=1, form="gzip"):
    """Return spaces, compressed again and again."""
    if layers > 1:
        return gzip.compress(zipped(size, layers=layers - 1, form=form), 9)
    packed = zlib.compressobj(9, wbits=zlib.MAX_WBITS | (16 if form == "gzip" else 0))
    return b"".join(packed.compress(b" " * MIB) for _ in range(size // MIB)) + packed.flush()


BOMBS = {
    "gzip": ("gzip", zipped),
    "x-gzip": ("x-gzip", zipped),
    "deflate": ("deflate", lambda: zipped(form="zlib")),
    "gzip in gzip": ("gzip, gzip", lambda: zipped(layers=2)),
    "gzip three times": ("gzip, gzip, gzip", lambda: zipped(layers=3)),
    "deflate in gzip": ("deflate, gzip", lambda: zipped(layers=2, form="zlib")),
    "many members": ("gzip", lambda: zipped(MIB) * (UNPACKED // MIB)),
    "brotli": ("br", lambda: b"\x1b\xff\xff"),
    "zstd": ("zstd", lambda: b"\x28\xb5\x2f\xfd"),
}


@pytest.mark.parametrize("status", [200, 302, 403, 429, 500])
@pytest.mark.parametrize(("coding", "pack"), BOMBS.values(), ids=BOMBS)
def test_compressed_body_is_not_unpacked_past_the_limit(status, coding, pack):
    body = pack()
    reply = head(status, f"Content-Encoding: {coding}", f"Content-Length: {len(body)}", "Location: /x") + body
    with RawServer(reply) as server:
        tracemalloc.start()
        caught = caught_from(CALLS["get"], server.url)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # The body as it was read, its copy, and one step of unpacking.
    assert most < 4 * MAX_RESPONSE_BYTES
    expected = {
        200: {VideoDBOutcomeUnknownError},
        302: {VideoDBResponseError},
        403: {VideoDBGatewayError},
        429: {VideoDBGatewayRateLimitError},
        500: {VideoDBServerError},
    }[status]
    # With zlib 1.3, urllib3 stops after some members. What it has read by then is not JSON.
    if status == 200 and pack is BOMBS["many members"][1]:
        expected = expected | {VideoDBGatewayError}
    assert type(caught) in expected


def test_body_that_unpacks_to_nothing_is_not_read_whole():
    # An empty stored block is five bytes of deflate and no byte of text.
    flood = Flood(head(200, "Content-Encoding: deflate") + b"\x78\x9c", b"\0\0\0\xff\xff" * 13_000)
    with RawServer(flood) as server:
        assert type(caught_from(CALLS["get"], server.url)) is VideoDBOutcomeUnknownError
    assert flood.sent < MAX_RESPONSE_BYTES + IN_FLIGHT


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "identity", ""])
def test_body_in_an_encoding_that_was_asked_for_is_read(coding):
    text = json.dumps({"success": True, "data": ["x" * 1000] * 1000}).encode()
    packed = {"g": gzip.compress, "d": zlib.compress}.get(coding[:1].lower(), bytes)(text)
    reply = head(200, f"Content-Encoding: {coding}", f"Content-Length: {len(packed)}") + packed
    with RawServer(reply) as server:
        caller = Transport(api_key=API_KEY, base_url=server.url, timeout=5, max_retries=0, user_agent="x")
        assert len(caller.get("/billing/usage", dict)["data"]) == 1000
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_body_just_below_the_limit_is_read():
    text = json.dumps({"data": ["x" * 1000] * 16_000}).encode().ljust(MAX_RESPONSE_BYTES - 1000)
    with RawServer(head(200, f"Content-Length: {len(text)}") + text) as server:
        caller = Transport(api_key=API_KEY, base_url=server.url, timeout=30, max_retries=0, user_agent="x")
        assert len(caller.get("/billing/usage", dict)["data"]) == 16_000


def test_next_request_does_not_read_what_is_left_of_a_response():
    replies = [
        head(302, "Location: /x", "Content-Length: 40") + head(200, "Content-Length: 2") + b"{}",
        head(204) + head(200, "Content-Length: 2") + b"{}",
        head(103) + head(200, "Content-Length: 2") + b"{}",
        head(200, "Content-Length: 16") + b'{"data": "this"}',
    ]
    with RawServer(*replies) as server:
        caller = Transport(api_key=API_KEY, base_url=server.url, timeout=5, max_retries=0, user_agent="x")
        for _ in replies[:-1]:
            with pytest.raises(VideoDBAPIError):
                caller.get("/billing/usage", dict)
        assert caller.get("/billing/usage", dict) == {"data": "this"}
