"""What is known of a POST after the road to VideoDB broke: before, while and after the request was written."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

from airflow_provider_videodb.api.read_deadline import guarded, noting_writes
from airflow_provider_videodb.api.session import VideoDBSession
from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAPIError,
    VideoDBGatewayError,
    VideoDBNotSentError,
    VideoDBOutcomeUnknownError,
    VideoDBServerError,
)
from tests.conftest import API_KEY
from tests.support.proxy import ESTABLISHED, ForwardProxy
from tests.support.raw_server import RawServer, answer
from tests.support.threads import Listener
from tests.support.tls import HOST, Authority, HttpsFront, reset_on_close

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = b"<html><title>Just a moment...</title></html>"
#: More than the buffers between two sockets hold, so that a break in the midst of it is one.
LONG = "x" * 16_000_000


@dataclass(frozen=True)
class Break:
    """
    A way in which a road breaks.

    :param error: what the caller is told.
    :param received: how much of the request got to where VideoDB is: nothing, part or whole.
    :param charged: whether VideoDB carried it out.
    :param timeout: of the call; short where it is what ends the call.
    """

    error: type[VideoDBAPIError]
    received: str = "nothing"
    charged: bool = False
    tunnel: Callable | None = None
    front: Callable | None = None
    timeout: float = 10
    long: bool = False


def page(status, content=PAGE):
    return answer(content, status, Content_Type="text/html")


def serve(front, connection):
    connection.sendall(front.carry_out(front.read(connection)))


def through(tunnel):
    tunnel.open()
    tunnel.relay()


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


NOT_SENT = VideoDBNotSentError
UNKNOWN = VideoDBOutcomeUnknownError
#: What a proxy does before a request could be written to it.
BEFORE = {
    "hangs up at once": Break(NOT_SENT, tunnel=hang_up),
    "resets at once": Break(NOT_SENT, tunnel=reset),
    "speaks another protocol": Break(NOT_SENT, tunnel=saying(b"220 mail.example ESMTP\r\n")),
    "hangs up after CONNECT": Break(NOT_SENT, tunnel=after_connect(hang_up)),
    "resets after CONNECT": Break(NOT_SENT, tunnel=after_connect(reset)),
    "hangs in CONNECT": Break(NOT_SENT, tunnel=after_connect(hang), timeout=0.3),
    "hangs within its answer": Break(NOT_SENT, tunnel=after_connect(saying(ESTABLISHED[:20], hang=True)), timeout=0.3),
    "cuts its answer": Break(NOT_SENT, tunnel=after_connect(saying(b"HTTP/1."))),
    "answers with garbage": Break(NOT_SENT, tunnel=after_connect(saying(b"\0\1\2\3" * 10))),
    "answers with a line too long": Break(NOT_SENT, tunnel=after_connect(saying(b"HTTP/1.1 200 " + b"y" * 70_000))),
    "wants a password": Break(NOT_SENT, tunnel=after_connect(saying(page(407)))),
    "refuses with a page": Break(NOT_SENT, tunnel=after_connect(saying(page(403)))),
    "reaches nothing": Break(NOT_SENT, tunnel=after_connect(saying(page(502)))),
    "redirects": Break(NOT_SENT, tunnel=after_connect(saying(answer(b"", 302, Location="http://login.example/")))),
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
    """Break the tunnel when VideoDB has carried the request out, before its answer is through."""

    def handle(tunnel):
        tunnel.open()
        tunnel.relay(until=tunnel.proxy.front.carried_out, tail=tail)
        then(tunnel)

    return handle


def charged(then, *, timeout=10.0, tail=0):
    return Break(
        UNKNOWN, received="whole", charged=True, tunnel=after_charge(then, tail=tail), front=serve, timeout=timeout
    )


#: What a proxy does to a request on its way, or to the answer.
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
    "hangs up instead of the answer": charged(hang_up),
    "resets instead of the answer": charged(reset),
    "hangs instead of the answer": charged(hang, timeout=1),
    "puts a page where the answer belongs": charged(saying(page(200))),
    "puts a refusal where the answer belongs": charged(saying(page(403))),
    "puts a page where the answer belongs and resets": charged(saying(page(502), reset=True)),
    "puts garbage where the answer belongs": charged(saying(b"\0" * 100)),
    "alerts where the answer belongs": charged(saying(b"\x15\x03\x03\0\x02\x02\x28")),
    "cuts the answer": charged(hang_up, tail=30),
    "resets the answer": charged(reset, tail=30),
    "puts a page into the answer": charged(saying(page(200)), tail=30),
}


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


def front_answers(content, *, works=False):
    return front_after(lambda connection, _: connection.sendall(content), works=works)


def answers_early(front, connection):
    connection.sendall(page(403))
    front.read(connection)


def half(connection, reply):
    connection.sendall(reply[: len(reply) - 20])


def half_in_good_order(connection, reply):
    half(connection, reply)
    connection.unwrap()


#: What the other end does, which speaks TLS with the right certificate: VideoDB itself, or a proxy that looks inside.
END = {
    "hangs up after the handshake": Break(UNKNOWN, front=front_before(lambda _: None)),
    "resets after the handshake": Break(UNKNOWN, front=front_before(reset_on_close)),
    "answers before it was asked": Break(VideoDBGatewayError, "whole", front=answers_early),
    "hangs up within the request": Break(UNKNOWN, "part", front=front_within(lambda _: None), long=True),
    "resets within the request": Break(UNKNOWN, "part", front=front_within(reset_on_close), long=True),
    "hangs up after the request": Break(UNKNOWN, "whole", front=front_after(lambda *_: None, works=False)),
    "hangs up after the charge": Break(UNKNOWN, "whole", True, front=front_after(lambda *_: None, works=True)),
    "resets after the charge": Break(
        UNKNOWN, "whole", True, front=front_after(lambda connection, _: reset_on_close(connection), works=True)
    ),
    "hangs up within the answer": Break(UNKNOWN, "whole", True, front=front_after(half, works=True)),
    "ends TLS within the answer": Break(UNKNOWN, "whole", True, front=front_after(half_in_good_order, works=True)),
    "answers with a page": Break(VideoDBGatewayError, "whole", front=front_answers(page(200))),
    "answers with a page after the charge": Break(
        VideoDBGatewayError, "whole", True, front=front_answers(page(200), works=True)
    ),
    "refuses with a page": Break(VideoDBGatewayError, "whole", front=front_answers(page(403))),
    "refuses with a page after the charge": Break(
        VideoDBGatewayError, "whole", True, front=front_answers(page(403), works=True)
    ),
    "wants a password": Break(VideoDBGatewayError, "whole", front=front_answers(page(407))),
    "reaches nothing": Break(VideoDBServerError, "whole", front=front_answers(page(502))),
    "reaches nothing after the charge": Break(
        VideoDBServerError, "whole", True, front=front_answers(page(504), works=True)
    ),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority, monkeypatch):
    """Trust the authority, and know no proxy."""
    for name in ("NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    return authority


def buy(base_url, broken):
    payload = {"amount": 5} | ({"padding": LONG} if broken.long else {})
    caller = Transport(
        api_key=API_KEY,
        base_url=base_url,
        timeout=broken.timeout,
        max_retries=3,
        user_agent="airflow-provider-videodb/0",
    )
    with pytest.raises(VideoDBAPIError) as caught:
        caller.post("/billing/topup", dict, payload=payload)
    return caught.value


def check(error, broken, front, emulator):
    """Hold what the caller was told against what VideoDB has received."""
    assert type(error) is broken.error
    received = bytes(front.received)
    length = len(received)
    expected = {"nothing": length == 0, "part": 0 < length < len(LONG), "whole": received.startswith(b"POST ")}
    assert expected[broken.received], f"{length} bytes"
    assert received.count(b"POST /billing/topup") <= 1
    assert len(emulator.checkouts()) == broken.charged
    assert isinstance(error, NO_EFFECT_ERRORS if error.__class__ is NOT_SENT else OUTCOME_UNKNOWN_ERRORS)
    assert API_KEY not in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("broken", [*BEFORE.values(), *LATER.values()], ids=[*BEFORE, *LATER])
def test_proxy_that_breaks_the_road_is_told_by_what_was_written(trusted, monkeypatch, scheme, broken):
    proxy_context = trusted.server_context("127.0.0.1") if scheme == "https" else None
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator(api_key=API_KEY, charge_stored_card=True))
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


@pytest.mark.parametrize("road", ["direct", "http", "https"])
@pytest.mark.parametrize("broken", END.values(), ids=END)
def test_other_end_that_breaks_the_road_is_told_by_what_was_written(trusted, monkeypatch, road, broken):
    proxy_context = trusted.server_context("127.0.0.1") if road == "https" else None
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator(api_key=API_KEY, charge_stored_card=True))
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


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_whole_road_through_a_proxy_buys_once(trusted, monkeypatch, scheme):
    context = trusted.server_context("127.0.0.1") if scheme == "https" else None
    with (
        Emulator(api_key=API_KEY) as emulator,
        HttpsFront(trusted.server_context(HOST), emulator.base_url, serve) as front,
        ForwardProxy(front.port, through, context=context) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        caller = Transport(
            api_key=API_KEY,
            base_url=f"https://{HOST}",
            timeout=10,
            max_retries=0,
            user_agent="airflow-provider-videodb/0",
        )
        assert caller.post("/billing/topup", dict, payload={"amount": 5})["success"] is True
        assert len(emulator.checkouts()) == 1


@pytest.mark.parametrize("road", ["direct", "http", "https", "certificate of the proxy"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_wrong_certificate_means_that_nothing_was_sent(trusted, monkeypatch, tmp_path, road, wrong):
    stranger = Authority(tmp_path) if wrong == "authority" else trusted
    at_end = (HOST, "127.0.0.1") if wrong == "authority" else ("other.test",)
    of_proxy = (trusted if road == "https" else stranger).server_context(
        "127.0.0.1" if road == "https" or wrong == "authority" else "other.test"
    )
    with (
        Emulator(api_key=API_KEY) as emulator,
        HttpsFront(stranger.server_context(*at_end), emulator.base_url, serve) as front,
        ForwardProxy(front.port, through, context=None if road == "http" else of_proxy) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = buy(f"https://127.0.0.1:{front.port}" if road == "direct" else f"https://{HOST}", Break(NOT_SENT))
        for server in (proxy, front):
            server.stop()
        check(error, Break(NOT_SENT), front, emulator)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)


def test_tunnel_to_a_server_without_tls_means_that_nothing_was_sent(trusted, monkeypatch):
    with Emulator(api_key=API_KEY) as emulator, ForwardProxy(emulator.port, through) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = buy(f"https://{HOST}", Break(NOT_SENT))
        assert emulator.calls() == []
    assert type(error) is VideoDBNotSentError


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
def test_proxy_that_is_not_there_means_that_nothing_was_sent(trusted, monkeypatch, proxy_scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"{proxy_scheme}://127.0.0.1:{port}")
    assert type(buy(f"https://{HOST}", Break(NOT_SENT))) is VideoDBNotSentError


@pytest.mark.parametrize(
    "proxy_url", ["https://no-such-proxy.invalid:1", "http://", "nonsense://x", "http://[::1", "socks5://127.0.0.1:1"]
)
def test_proxy_that_cannot_be_one_means_that_nothing_was_sent(trusted, monkeypatch, proxy_url):
    monkeypatch.setenv("HTTPS_PROXY", proxy_url)
    assert type(buy(f"https://{HOST}", Break(NOT_SENT))) is VideoDBNotSentError


@pytest.mark.parametrize("host", [f"{'a' * 70}.test", "\u00fc" * 70 + ".test", "a..test", "*.test"])
def test_host_that_cannot_be_one_is_not_sent_to_through_a_proxy(trusted, monkeypatch, host):
    with RawServer(b"") as target, ForwardProxy(int(target.url.rsplit(":")[-1]), through) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert type(buy(f"https://{host}", Break(NOT_SENT))) is VideoDBNotSentError
    assert target.requests == []


class TlsThatHangs(Listener):
    """Accepts a connection and never answers its handshake."""

    def serve(self, connection):
        self.stopping.wait(30)


def test_handshake_that_hangs_means_that_nothing_was_sent(trusted):
    with TlsThatHangs() as server:
        assert type(buy(f"https://127.0.0.1:{server.port}", Break(NOT_SENT, timeout=0.3))) is VideoDBNotSentError


@pytest.mark.parametrize("reply", [b"", page(403), answer({"success": True})])
def test_request_to_a_proxy_without_a_tunnel_counts_as_written(trusted, monkeypatch, reply):
    with RawServer(reply, hang_up=True) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with noting_writes() as writing, contextlib.suppress(OSError):
            VideoDBSession(api_key=API_KEY, user_agent="x", loopback=False).post("http://api.videodb.test/", timeout=5)
        assert writing.begun
    assert [request.method for request in proxy.requests] == ["POST"]


def test_refused_proxy_without_a_tunnel_counts_as_not_written(trusted, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with noting_writes() as writing, pytest.raises(OSError, match="refused"):
        VideoDBSession(api_key=API_KEY, user_agent="x", loopback=False).post("http://api.videodb.test/", timeout=5)
    assert not writing.begun


def test_writes_of_other_threads_and_earlier_requests_are_not_noted():
    session = VideoDBSession(api_key=API_KEY, user_agent="x", loopback=True)
    with RawServer(answer({})) as server:
        with noting_writes() as earlier:
            session.get(server.url, timeout=5)
        with noting_writes() as later:
            thread = threading.Thread(target=lambda: session.get(server.url, timeout=5))
            thread.start()
            thread.join(10)
    assert (earlier.begun, later.begun, len(server.requests)) == (True, False, 2)


def test_pools_of_other_kinds_are_guarded_once_and_stay_what_they_are():
    class SocksConnection(HTTPSConnection):
        pass

    class SocksPool(HTTPSConnectionPool):
        ConnectionCls = SocksConnection

    pool = guarded(SocksPool)
    assert issubclass(pool, SocksPool)
    assert issubclass(pool.ConnectionCls, SocksConnection)
    assert guarded(pool) is pool


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_bundle_of_certificates_holds_for_this_machine_too(trusted, monkeypatch, variable):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(variable, str(trusted.bundle))
    with (
        Emulator(api_key=API_KEY) as emulator,
        HttpsFront(trusted.server_context("127.0.0.1"), emulator.base_url, serve) as front,
        RawServer(b"") as proxy,
    ):
        for name in ("HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        caller = Transport(
            api_key=API_KEY,
            base_url=f"https://127.0.0.1:{front.port}",
            timeout=10,
            max_retries=0,
            user_agent="airflow-provider-videodb/0",
        )
        assert caller.get("/billing/usage", dict)["success"] is True
        assert caller.post("/billing/topup", dict, payload={"amount": 5})["success"] is True
    assert proxy.connections == 0


def test_this_machine_is_not_trusted_without_the_bundle(trusted, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with (
        Emulator(api_key=API_KEY) as emulator,
        HttpsFront(trusted.server_context("127.0.0.1"), emulator.base_url, serve) as front,
    ):
        error = buy(f"https://127.0.0.1:{front.port}", Break(NOT_SENT))
    assert type(error) is VideoDBNotSentError
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
