"""The other end breaks a POST. The error says whether VideoDB may have received it."""

from __future__ import annotations

import contextlib

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBGatewayError,
    VideoDBServerError,
)
from tests.conftest import API_KEY
from tests.support.proxy import ForwardProxy
from tests.support.roads import UNKNOWN, Break, buy, check, page, through
from tests.support.tls import HOST, HttpsFront, reset_on_close


def front_before(act):
    def handle(front, connection):
        act(connection)

    return handle


def front_within(act):
    def handle(front, connection):
        front.read(connection, at_most=1000)
        act(connection)

    return handle


def front_after(act, *, works):
    def handle(front, connection):
        request = front.read(connection)
        reply = front.carry_out(request) if works else b""
        act(connection, reply)

    return handle


def front_responds(content, *, works=False):
    return front_after(lambda connection, _: connection.sendall(content), works=works)


def responds_early(front, connection):
    connection.sendall(page(403))
    front.read(connection)


def half(connection, reply):
    connection.sendall(reply[: len(reply) - 20])


def half_in_good_order(connection, reply):
    half(connection, reply)
    connection.unwrap()


#: The other end speaks TLS with the right certificate. It is VideoDB, or a proxy that decrypts.
END = {
    "hangs up after the handshake": Break(UNKNOWN, front=front_before(lambda _: None)),
    "resets after the handshake": Break(UNKNOWN, front=front_before(reset_on_close)),
    "responds before the request": Break(VideoDBGatewayError, "whole", front=responds_early),
    "hangs up within the request": Break(UNKNOWN, "part", front=front_within(lambda _: None), long=True),
    "resets within the request": Break(UNKNOWN, "part", front=front_within(reset_on_close), long=True),
    "hangs up after the request": Break(UNKNOWN, "whole", front=front_after(lambda *_: None, works=False)),
    "hangs up after the charge": Break(UNKNOWN, "whole", True, front=front_after(lambda *_: None, works=True)),
    "resets after the charge": Break(
        UNKNOWN, "whole", True, front=front_after(lambda connection, _: reset_on_close(connection), works=True)
    ),
    "hangs up within the response": Break(UNKNOWN, "whole", True, front=front_after(half, works=True)),
    "ends TLS within the response": Break(UNKNOWN, "whole", True, front=front_after(half_in_good_order, works=True)),
    "responds with a page": Break(VideoDBGatewayError, "whole", front=front_responds(page(200))),
    "responds with a page after the charge": Break(
        VideoDBGatewayError, "whole", True, front=front_responds(page(200), works=True)
    ),
    "refuses with a page": Break(VideoDBGatewayError, "whole", front=front_responds(page(403))),
    "refuses with a page after the charge": Break(
        VideoDBGatewayError, "whole", True, front=front_responds(page(403), works=True)
    ),
    "wants a password": Break(VideoDBGatewayError, "whole", front=front_responds(page(407))),
    "reaches nothing": Break(VideoDBServerError, "whole", front=front_responds(page(502))),
    "reaches nothing after the charge": Break(
        VideoDBServerError, "whole", True, front=front_responds(page(504), works=True)
    ),
}


@pytest.mark.parametrize("road", ["direct", "http", "https"])
@pytest.mark.parametrize("broken", END.values(), ids=END)
def test_broken_end_is_judged_by_what_was_written(trusted, monkeypatch, road, broken):
    proxy_context = trusted.server_context("127.0.0.1") if road == "https" else None
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator(api_key=API_KEY, charge_stored_card=True, allowed_hosts=[HOST]))
        front = stack.enter_context(
            HttpsFront(trusted.server_context(HOST, "127.0.0.1"), emulator.base_url, broken.front)
        )
        proxy = stack.enter_context(ForwardProxy(front.port, through, context=proxy_context))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = buy(f"https://127.0.0.1:{front.port}" if road == "direct" else f"https://{HOST}", broken)
        for server in (proxy, front):
            server.stop()
        check(error, broken, front, emulator)
        assert proxy.connections == (road != "direct")
