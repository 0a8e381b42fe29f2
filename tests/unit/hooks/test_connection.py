"""A connection is read in every form in which it can be written."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError
from tests.conftest import API_KEY

PRODUCTION = "https://api.videodb.io"


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("videodb://:KEY@", PRODUCTION),
        ("videodb://:KEY@/", PRODUCTION),
        ("videodb://https://:KEY@", PRODUCTION),
        ("videodb://:KEY@api.videodb.io", PRODUCTION),
        ("videodb://https://:KEY@staging-api.videodb.io", "https://staging-api.videodb.io"),
        ("videodb://:KEY@https%3A%2F%2Fstaging-api.videodb.io", "https://staging-api.videodb.io"),
        ("videodb://:KEY@https%3A%2F%2Fgate.example%2Fvideodb:8443", "https://gate.example:8443/videodb"),
        ("videodb://:KEY@127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("videodb://:KEY@localhost:8765", "http://localhost:8765"),
        ("videodb://:KEY@[::1]:8765", "http://[::1]:8765"),
        ("videodb://http://:KEY@127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("videodb://:KEY@http%3A%2F%2F127.0.0.1%3A8765", "http://127.0.0.1:8765"),
    ],
)
def test_connection_is_read_from_a_uri(connect, uri, base_url):
    hook = connect(uri.replace("KEY", API_KEY))
    assert hook.settings.api_key == API_KEY
    assert hook.get_conn().base_url == base_url


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            json.dumps({"conn_type": "videodb", "password": API_KEY, "host": "ftp://api.videodb.io"}),
            "'ftp://api.videodb",
        ),
        (json.dumps({"conn_type": "videodb", "password": API_KEY, "host": "http://10.0.0.1"}), "'http://10.0.0.1'"),
        (json.dumps({"conn_type": "videodb", "password": API_KEY, "host": "https://u:pw@host"}), "'https://***@host'"),
        (f"videodb://:{API_KEY}@api.videodb.io/v2", "'v2'"),
    ],
)
def test_unusable_host_is_shown_with_its_connection(connect, value, shown):
    with pytest.raises(VideoDBConfigError) as caught:
        _ = connect(value).settings
    text = str(caught.value)
    assert text.startswith("Connection 'videodb_default' has ")
    assert shown in text
    assert text.count("Next step: ") == 1
    assert ("https%3A%2F%2F" in text) is ("http://" not in value)


def test_password_of_another_type_is_not_sent(emulator, connect):
    hook = connect(json.dumps({"conn_type": "postgres", "password": API_KEY, "host": emulator.base_url}))

    with pytest.raises(VideoDBConfigError, match="'videodb_default' has the type 'postgres'"):
        hook.get_usage()

    assert emulator.calls() == []


@pytest.mark.parametrize(
    "query",
    [
        "/?timeout=5&max_topup_amount=20.5",
        "?timeout=5&max_topup_amount=20.5",
        "/?timeout=5.0&max_topup_amount=20.50",
        "/?__extra__=%7B%22timeout%22%3A+5%2C+%22max_topup_amount%22%3A+%2220.5%22%7D",
    ],
)
def test_fields_are_read_from_a_uri(connect, query):
    settings = connect(f"videodb://:{API_KEY}@{query}").settings
    assert (settings.timeout, settings.max_retries) == (5, 3)
    assert settings.limits.max_topup_amount == Decimal("20.5")
    assert settings.limits.monthly_topup_limit is None


def test_key_in_a_uri_is_percent_decoded(connect):
    assert connect("videodb://:sk-%2B%2F%3D%40%3A@127.0.0.1:1").settings.api_key == "sk-+/=@:"


@pytest.mark.parametrize(
    "fields",
    [
        {"extra": {"timeout": 7, "max_retries": 0, "monthly_topup_limit": 100}},
        {"extra": '{"timeout": 7, "max_retries": 0, "monthly_topup_limit": 100}'},
        {"extra": {"timeout": "7", "max_retries": "0", "monthly_topup_limit": "100.00"}},
        # What the form of the UI leaves behind where a field is empty.
        {
            "host": "",
            "login": "",
            "schema": "",
            "port": None,
            "extra": {"timeout": 7, "max_retries": 0, "monthly_topup_limit": 100, "max_topup_amount": None},
        },
        {
            "host": "api.videodb.io",
            "schema": "https",
            "extra": {"timeout": 7, "max_retries": 0, "monthly_topup_limit": 100},
        },
    ],
)
def test_connection_is_read_from_json(connect, fields):
    settings = connect(**fields).settings
    assert (settings.base_url, settings.timeout, settings.max_retries) == (PRODUCTION, 7, 0)
    assert (settings.limits.max_topup_amount, settings.limits.monthly_topup_limit) == (None, 100)


@pytest.mark.parametrize(
    ("host", "port", "base_url"),
    [
        ("https://api.videodb.io/", None, PRODUCTION),
        (" https://api.videodb.io\n", None, PRODUCTION),
        ("api.videodb.io", 8443, "https://api.videodb.io:8443"),
        ("https://api.videodb.io:1", 8443, "https://api.videodb.io:1"),
        ("127.0.0.1:8765", None, "http://127.0.0.1:8765"),
    ],
)
def test_host_and_port_make_the_base_url(connect, host, port, base_url):
    assert connect(host=host, port=port).get_conn().base_url == base_url


def test_defaults_are_those_of_the_client(connect):
    settings = connect().settings
    assert (settings.base_url, settings.timeout, settings.max_retries) == (PRODUCTION, 30, 3)


def test_fingerprint_tells_accounts_apart(connect):
    one = connect().settings
    assert one.fingerprint == connect(extra={"timeout": 7, "max_topup_amount": 1}).settings.fingerprint
    assert one.fingerprint == connect(host="https://api.videodb.io/").settings.fingerprint
    others = [
        connect(password="sk-another").settings,
        connect(host="https://staging-api.videodb.io").settings,
        connect(host="https://api.videodb.io/v2").settings,
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert re.fullmatch(r"[0-9a-f]{16}", one.fingerprint)


def test_account_of_a_connection_is_its_id_by_default(connect):
    settings = connect().settings
    assert settings.credit_account == "videodb_default"
    assert (settings.credit_reserve, settings.settlement_minutes) == (0, 20)
    assert settings.settlement_ms == 20 * 60_000


@pytest.mark.parametrize(
    "value",
    [
        {"extra": {"credit_account": "prod", "credit_reserve": 12.5, "settlement_minutes": 0.5}},
        {"extra": '{"credit_account": "prod", "credit_reserve": "12.5", "settlement_minutes": "0.5"}'},
        f"videodb://:{API_KEY}@/?credit_account=prod&credit_reserve=12.5&settlement_minutes=0.5",
    ],
)
def test_fields_of_holds_are_read_exactly(connect, value):
    settings = (connect(value) if isinstance(value, str) else connect(**value)).settings
    assert settings.credit_account == "prod"
    assert settings.credit_reserve == Decimal("12.5")
    assert settings.settlement_ms == 30_000


def test_no_settlement_is_not_the_default(connect):
    assert connect(extra={"settlement_minutes": 0}).settings.settlement_ms == 0
