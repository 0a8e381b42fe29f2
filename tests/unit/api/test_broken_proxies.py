"""A proxy breaks a POST. The error says whether VideoDB may have received it."""

from __future__ import annotations

import contextlib

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from tests.conftest import API_KEY
from tests.support.proxy import ESTABLISHED, ForwardProxy
from tests.support.raw_server import raw_response
from tests.support.roads import NOT_SENT, UNKNOWN, Break, buy, check, page, serve
from tests.support.tls import HOST, HttpsFront


def after_connect(act):
    def handle(tunnel):
        tunnel.read_head()
        act(tunnel)

    return handle


def in_tunnel(act):
    def handle(tunnel):
        tunnel.open()
        act(tunnel)

    return handle


def saying(data, *, reset=False, hang=False):
    def act(tunnel):
        tunnel.say(data)
        if reset:
            tunnel.reset()
        if hang:
            tunnel.hang()

    return act


def hang(tunnel):
    tunnel.hang()


def hang_up(_):
    """Leave, which closes the connection."""


def reset(tunnel):
    tunnel.reset()


def cut_after(count, *, then=hang_up):
    def act(tunnel):
        tunnel.relay(sent=count)
        then(tunnel)

    return act


#: What a proxy does before the request is written.
BEFORE = {
    "hangs up at once": Break(NOT_SENT, tunnel=hang_up),
    "resets at once": Break(NOT_SENT, tunnel=reset),
    "speaks another protocol": Break(NOT_SENT, tunnel=saying(b"220 mail.example ESMTP\r\n")),
    "hangs up after CONNECT": Break(NOT_SENT, tunnel=after_connect(hang_up)),
    "resets after CONNECT": Break(NOT_SENT, tunnel=after_connect(reset)),
    "hangs in CONNECT": Break(NOT_SENT, tunnel=after_connect(hang), timeout=0.3),
    "hangs within its response": Break(
        NOT_SENT, tunnel=after_connect(saying(ESTABLISHED[:20], hang=True)), timeout=0.3
    ),
    "cuts its response": Break(NOT_SENT, tunnel=after_connect(saying(b"HTTP/1."))),
    "responds with garbage": Break(NOT_SENT, tunnel=after_connect(saying(b"\0\1\2\3" * 10))),
    "responds with a line too long": Break(NOT_SENT, tunnel=after_connect(saying(b"HTTP/1.1 200 " + b"y" * 70_000))),
    "wants a password": Break(NOT_SENT, tunnel=after_connect(saying(page(407)))),
    "refuses with a page": Break(NOT_SENT, tunnel=after_connect(saying(page(403)))),
    "reaches nothing": Break(NOT_SENT, tunnel=after_connect(saying(page(502)))),
    "redirects": Break(
        NOT_SENT, tunnel=after_connect(saying(raw_response(b"", 302, Location="http://login.example/")))
    ),
    "hangs up in the tunnel": Break(NOT_SENT, tunnel=in_tunnel(hang_up)),
    "resets in the tunnel": Break(NOT_SENT, tunnel=in_tunnel(reset)),
    "hangs in the tunnel": Break(NOT_SENT, tunnel=in_tunnel(hang), timeout=0.3),
    "puts a page into the tunnel": Break(NOT_SENT, tunnel=in_tunnel(saying(page(200)))),
    "puts a page into the tunnel and waits": Break(
        NOT_SENT, tunnel=in_tunnel(saying(page(403), hang=True)), timeout=0.3
    ),
    "puts garbage into the tunnel": Break(NOT_SENT, tunnel=in_tunnel(saying(b"\x15\x03\x01\0\x02\x02\x28"))),
    "cuts the handshake": Break(NOT_SENT, tunnel=in_tunnel(cut_after(100))),
    "resets the handshake": Break(NOT_SENT, tunnel=in_tunnel(cut_after(100, then=reset))),
}


def after_charge(then, *, tail=0):
    """Break the tunnel after VideoDB carried out the request and before its response arrives."""

    def handle(tunnel):
        tunnel.open()
        tunnel.relay(until=tunnel.proxy.front.carried_out, tail=tail)
        then(tunnel)

    return handle


def charged(then, *, timeout=10.0, tail=0):
    return Break(
        UNKNOWN, received="whole", charged=True, tunnel=after_charge(then, tail=tail), front=serve, timeout=timeout
    )


#: What a proxy does to a request or to its response.
LATER = {
    "hangs up in the midst of the request": Break(
        UNKNOWN, received="part", tunnel=in_tunnel(cut_after(200_000)), long=True
    ),
    "resets in the midst of the request": Break(
        UNKNOWN, received="part", tunnel=in_tunnel(cut_after(200_000, then=reset)), long=True
    ),
    "hangs in the midst of the request": Break(
        UNKNOWN, received="part", tunnel=in_tunnel(cut_after(200_000, then=hang)), long=True, timeout=1
    ),
    "puts a page into the midst of the request": Break(
        UNKNOWN, received="part", tunnel=in_tunnel(cut_after(200_000, then=saying(page(413)))), long=True
    ),
    "hangs up instead of the response": charged(hang_up),
    "resets instead of the response": charged(reset),
    "hangs instead of the response": charged(hang, timeout=1),
    "puts a page where the response belongs": charged(saying(page(200))),
    "puts a refusal where the response belongs": charged(saying(page(403))),
    "puts a page where the response belongs and resets": charged(saying(page(502), reset=True)),
    "puts garbage where the response belongs": charged(saying(b"\0" * 100)),
    "alerts where the response belongs": charged(saying(b"\x15\x03\x03\0\x02\x02\x28")),
    "cuts the response": charged(hang_up, tail=30),
    "resets the response": charged(reset, tail=30),
    "puts a page into the response": charged(saying(page(200)), tail=30),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("broken", [*BEFORE.values(), *LATER.values()], ids=[*BEFORE, *LATER])
def test_broken_proxy_is_judged_by_what_was_written(trusted, monkeypatch, scheme, broken):
    proxy_context = trusted.server_context("127.0.0.1") if scheme == "https" else None
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator(api_key=API_KEY, charge_stored_card=True, allowed_hosts=[HOST]))
        front = HttpsFront(trusted.server_context(HOST), emulator.base_url, broken.front or serve)
        stack.enter_context(front)
        proxy = stack.enter_context(ForwardProxy(front.port, broken.tunnel, context=proxy_context))
        proxy.front = front
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = buy(f"https://{HOST}", broken)
        # What is on its way arrives before the servers have stopped.
        for server in (proxy, front):
            server.stop()
        check(error, broken, front, emulator)
        assert proxy.connections == 1
        assert all(head.startswith(f"CONNECT {HOST}:443 ".encode()) for head in proxy.heads)
        assert API_KEY.encode() not in b"".join(proxy.heads)
