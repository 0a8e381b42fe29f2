"""What counts as a request that was not sent."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    VideoDBNotSentError,
)
from tests.conftest import API_KEY
from tests.support.api import failure_of, free_port, get, post
from tests.support.proxy import ForwardProxy
from tests.support.raw_server import RawServer
from tests.support.roads import NOT_SENT, Break, buy, check, serve, through
from tests.support.threads import Listener
from tests.support.tls import HOST, Authority, HttpsFront


@pytest.mark.parametrize("call", [get, post])
def test_refused_connection_is_not_sent(call):
    error = failure_of(call, f"http://127.0.0.1:{free_port()}")
    assert type(error) is VideoDBNotSentError
    assert error.status is None
    assert "was not sent, because the connection was refused." in str(error)
    assert isinstance(error, NO_EFFECT_ERRORS)


@pytest.mark.parametrize(
    "url",
    [
        "https://no-such-host.invalid",
        f"https://{'a' * 70}.example",
        "https://a..example",
        f"https://\u00fc{'x' * 70}.example",
        "https://*.example",
    ],
)
def test_impossible_host_is_not_sent(url):
    assert type(failure_of(post, url)) is VideoDBNotSentError


def test_host_that_does_not_accept_is_not_sent():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Fill the queue of connections nobody accepts; the kernel then lets further ones wait.
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        error = failure_of(post, f"http://127.0.0.1:{address[1]}", timeout=0.3)
        for client in waiting:
            client.close()
    assert type(error) is VideoDBNotSentError
    assert "was not sent, because no complete response arrived within 0.3 s." in str(error)


def test_https_to_http_server_is_not_sent():
    with Emulator(api_key=API_KEY) as emulator:
        error = failure_of(post, emulator.base_url.replace("http:", "https:"))
        assert emulator.calls() == []
    assert type(error) is VideoDBNotSentError
    assert "was not sent, because TLS failed (" in str(error)


def self_signed_certificate(path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(encoding))
    return path


def test_untrusted_certificate_is_not_sent(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed_certificate(tmp_path / "certificate.pem"))
    received = []

    def serve():
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                received.append(secure.recv(100))
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        error = failure_of(post, f"https://127.0.0.1:{listener.getsockname()[1]}")
        server.join(10)
    assert type(error) is VideoDBNotSentError
    assert "was not sent, because the TLS certificate is not trusted (" in str(error)
    assert received in ([], [b""])


def test_missing_certificate_file_is_not_sent(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    error = failure_of(post, "https://api.videodb.invalid")
    assert type(error) is VideoDBNotSentError
    assert "the file of trusted certificates is missing (/nowhere/ca.pem)" in str(error)


@pytest.mark.parametrize("road", ["direct", "http", "https", "certificate of the proxy"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_wrong_certificate_is_not_sent(trusted, monkeypatch, tmp_path, road, wrong):
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
    assert "was not sent, because the TLS certificate is not trusted (" in str(error)


def test_tunnel_to_server_without_tls_is_not_sent(trusted, monkeypatch):
    with Emulator(api_key=API_KEY) as emulator, ForwardProxy(emulator.port, through) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = buy(f"https://{HOST}", Break(NOT_SENT))
        assert emulator.calls() == []
    assert type(error) is VideoDBNotSentError


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
def test_missing_proxy_is_not_sent(trusted, monkeypatch, proxy_scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"{proxy_scheme}://127.0.0.1:{port}")
    assert type(buy(f"https://{HOST}", Break(NOT_SENT))) is VideoDBNotSentError


@pytest.mark.parametrize(
    "proxy_url", ["https://no-such-proxy.invalid:1", "http://", "nonsense://x", "http://[::1", "socks5://127.0.0.1:1"]
)
def test_impossible_proxy_is_not_sent(trusted, monkeypatch, proxy_url):
    monkeypatch.setenv("HTTPS_PROXY", proxy_url)
    assert type(buy(f"https://{HOST}", Break(NOT_SENT))) is VideoDBNotSentError


@pytest.mark.parametrize("host", [f"{'a' * 70}.test", "\u00fc" * 70 + ".test", "a..test", "*.test"])
def test_impossible_host_through_proxy_is_not_sent(trusted, monkeypatch, host):
    with RawServer(b"") as target, ForwardProxy(int(target.url.rsplit(":")[-1]), through) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert type(buy(f"https://{host}", Break(NOT_SENT))) is VideoDBNotSentError
    assert target.requests == []


class TlsThatHangs(Listener):
    """Accepts a connection and never responds to its handshake."""

    def serve(self, connection):
        self.stopping.wait(30)


def test_hanging_handshake_is_not_sent(trusted):
    with TlsThatHangs() as server:
        assert type(buy(f"https://127.0.0.1:{server.port}", Break(NOT_SENT, timeout=0.3))) is VideoDBNotSentError


def test_loopback_is_not_trusted_without_the_bundle(trusted, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with (
        Emulator(api_key=API_KEY) as emulator,
        HttpsFront(trusted.server_context("127.0.0.1"), emulator.base_url, serve) as front,
    ):
        error = buy(f"https://127.0.0.1:{front.port}", Break(NOT_SENT))
    assert type(error) is VideoDBNotSentError
    assert "was not sent, because the TLS certificate is not trusted (" in str(error)
