"""To which base URLs the key may be sent."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.api.urls import check_base_url, is_loopback
from airflow_provider_videodb.exceptions import VideoDBConfigError


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.videodb.io", "https://api.videodb.io"),
        ("https://api.videodb.io/", "https://api.videodb.io"),
        ("https://gateway.example:8443/videodb//", "https://gateway.example:8443/videodb"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://videodb.localhost", "http://videodb.localhost"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_base_url_loses_its_last_slash(given, used):
    assert check_base_url(given) == used


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.videodb.io",
        "//api.videodb.io",
        "ftp://api.videodb.io",
        "https://",
        "https:///path",
        "https://:443",
        "https://host:port",
        "https://host:99999",
        "https://host:0",
        "https://[::1",
        "https://user:secret@host",
        "https://secret@host",
        "https://host/?key=secret",
        "https://host?",
        "https://host#",
        "https://host/#secret",
        "https://host/a b",
        "https://ho\nst",
        " https://host",
        "https://host\\@evil.example",
        "http://evil.example\\.localhost",
    ],
)
def test_impossible_base_url_is_quoted_without_secrets(url):
    with pytest.raises(VideoDBConfigError, match="connection's host") as caught:
        check_base_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "quoted"),
    [
        ("ftp://api.videodb.io", "'ftp://api.videodb.io'"),
        ("https://user:secret@host", "'https://***@host'"),
        ("https://a@secret@host/x", "'https://***@host/x'"),
        ("secret@host", "'***@host'"),
        ("https://host/?key=secret", "'https://host/?***'"),
        ("https://host/#secret?x", "'https://host/#***'"),
    ],
)
def test_refused_base_url_is_shown(url, quoted):
    with pytest.raises(VideoDBConfigError) as caught:
        check_base_url(url)
    assert f"is {quoted}. It must have" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.videodb.io",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://notlocalhost",
        "HTTP://api.videodb.io",
    ],
)
def test_key_is_not_sent_in_clear_text(url):
    with pytest.raises(VideoDBConfigError, match="clear text"):
        check_base_url(url)
    assert not is_loopback(url)
