"""The session uses the environment's proxies and certificates, but no netrc and no redirect."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_videodb.api.transport import Transport
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBNotSentError,
    VideoDBResponseError,
)
from tests.conftest import API_KEY
from tests.support.api import OK, failure_of, get, post, transport
from tests.support.proxy import ForwardProxy
from tests.support.raw_server import RawServer, raw_response
from tests.support.roads import serve, through
from tests.support.tls import HOST, HttpsFront


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [get, post])
def test_redirect_is_not_followed(call, status):
    with RawServer(OK) as other, RawServer(raw_response(b"", status, Location=f"{other.url}/x?k={API_KEY}")) as server:
        error = failure_of(call, server.url, max_retries=2)
    assert type(error) is VideoDBResponseError
    assert f"redirected to {other.url}/x?k=***" in str(error)
    assert error.status == status
    assert len(server.requests) == 1
    assert other.connections == 0


def test_redirect_without_target_is_an_error():
    with RawServer(raw_response(b"", 302)) as server:
        assert "redirected to nowhere" in str(failure_of(get, server.url))


def test_netrc_is_ignored(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\ndefault login any password any\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(OK) as server:
        # The file works: requests alone would use it.
        requests.get(server.url, timeout=5)
        get(server.url)
    assert ["authorization" in request.headers for request in server.requests] == [True, False]


def test_netrc_is_ignored_for_other_hosts_too(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login any password any\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session = transport("https://api.videodb.io")._session
    prepared = session.prepare_request(requests.Request("GET", "https://api.videodb.io/billing/usage"))
    assert "Authorization" not in prepared.headers


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_loopback_request_uses_no_proxy(monkeypatch, variable):
    with RawServer(OK) as proxy, RawServer(OK) as server:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        get(server.url)
    assert (proxy.connections, len(server.requests)) == (0, 1)


def test_proxy_of_other_hosts_never_sees_the_key(monkeypatch):
    with RawServer(raw_response(b"", 407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure_of(post, "https://api.videodb.invalid")
    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert API_KEY not in str(proxy.requests)
    assert type(error) is VideoDBNotSentError


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_purchase_through_a_proxy_is_made_once(trusted, monkeypatch, scheme):
    context = trusted.server_context("127.0.0.1") if scheme == "https" else None
    with (
        Emulator(api_key=API_KEY, allowed_hosts=[HOST]) as emulator,
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


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificate_bundle_counts_for_loopback_too(trusted, monkeypatch, variable):
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
