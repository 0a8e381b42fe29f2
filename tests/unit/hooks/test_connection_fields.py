"""A broken field of a connection is named, and nothing is sent."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from airflow.models import Connection as StoredConnection

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.hooks.connection import ConnectionSettings
from tests.conftest import API_KEY

CONN_ID = "videodb_default"
#: The fields that are numbers.
NUMBERS = (
    "max_topup_amount",
    "monthly_topup_limit",
    "approval_above",
    "timeout",
    "max_retries",
    "credit_reserve",
    "settlement_minutes",
)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"password": None}, "password"),
        ({"password": ""}, "password"),
        ({"password": "sk-with space"}, "password"),
        ({"password": "sk-tail\n"}, "password"),
        ({"host": "http://api.videodb.io"}, "host"),
        ({"host": "http://192.168.0.7:8765"}, "host"),
        ({"host": "ftp://api.videodb.io"}, "host"),
        ({"host": "https://user:secret@api.videodb.io"}, "host"),
        ({"host": "https://api.videodb.io:port", "port": 8443}, "host"),
        ({"host": "[::1"}, "host"),
        ({"host": "https://[::1", "port": 8443}, "host"),
        ({"schema": "v1"}, "schema"),
        *(({"extra": {"timeout": value}}, "timeout") for value in (0, 3601)),
        *(({"extra": {"max_retries": value}}, "max_retries") for value in (1.5, 11)),
        ({"extra": {"settlement_minutes": 2881}}, "settlement_minutes"),
        ({"extra": {"max_topup_ammount": 20}}, "max_topup_ammount"),
        ({"extra": {"credit_acount": "prod"}}, "credit_acount"),
        ({"extra": {"Timeout": 20}}, "Timeout"),
        ({"extra": {"api_key": "sk-secret"}}, "api_key"),
        ({"extra": "{max_topup_amount: 20}"}, "extra"),
        ({"extra": "[1]"}, "extra"),
        ({"extra": "20"}, "extra"),
        ({"extra": "null"}, "extra"),
    ],
)
def test_broken_field_is_named_and_nothing_is_sent(connect, monkeypatch, fields, named):
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: pytest.fail("something was sent"))
    with pytest.raises(VideoDBConfigError) as caught:
        connect(**fields).get_usage()
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)
    assert API_KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["monthly_topup_limit", "max_topup_amount", "approval_above", "credit_reserve"])
def test_limit_that_is_too_large_is_told_the_bound(connect, name):
    with pytest.raises(VideoDBConfigError, match="must be a number of 0 or more and below 9007199254740992"):
        connect(extra={name: 2**53 + 1}).get_usage()


NO_NUMBERS = (
    *("", " ", "\t\n", "none", "None", "null", "nil", "unlimited", "${LIMIT}", "$LIMIT", "{{ limit }}", '""', "''"),
    *(
        "0x10",
        "1e400",
        "nan",
        "inf",
        "-1",
        "-0.01",
        "50 USD",
        "$50",
        "50,00",
        "1.000,50",
        "1_000",
        "\u0665\u0660",
        "50.0.0",
    ),
)


def uri_with(name, value):
    return f"videodb://:{API_KEY}@?{urlencode({name: value})}"


def json_with(name, value):
    return json.dumps({"conn_type": "videodb", "password": API_KEY, "extra": {name: value}})


def json_text_with(name, value):
    return json.dumps({"conn_type": "videodb", "password": API_KEY, "extra": json.dumps({name: value})})


@pytest.mark.parametrize("write", [uri_with, json_with, json_text_with])
@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_empty_field_or_word_is_not_a_number(connect, monkeypatch, write, field, value):
    """An unset variable of a shell is not "no limit"."""
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: pytest.fail("something was sent"))
    with pytest.raises(VideoDBConfigError) as caught:
        connect(write(field, value)).topup(1000)
    text = str(caught.value)
    assert "videodb_default" in text
    assert field in text
    assert "Next step: " in text
    assert ("empty, as an unset variable leaves it" in text) is (value.strip() == "")
    assert API_KEY not in text


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize(
    "value",
    [True, False, [], [50], {}, -1, float("nan"), float("inf"), -0.5, 10**400, "9" * 5000],
    ids=lambda v: str(v)[:9],
)
def test_field_of_another_type_is_refused(connect, field, value):
    with pytest.raises(VideoDBConfigError, match=field) as caught:
        connect(extra={field: value}).topup(1000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("field", ["max_topup_amount", "monthly_topup_limit", "approval_above"])
@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value != "null"])
def test_limit_stored_from_a_uri_is_refused_too(field, value):
    """Before it stores a connection, Airflow reads the values of a URI as JSON; its null is not set, as the form's."""
    stored = StoredConnection(conn_id=CONN_ID, uri=uri_with(field, value))
    with pytest.raises(VideoDBConfigError, match=field):
        ConnectionSettings.from_connection(stored)


@pytest.mark.parametrize("field", [*NUMBERS, "credit_account"])
def test_null_field_is_not_set(connect, field):
    """The form of the UI writes it where a number was removed."""
    assert connect(extra={field: None}).settings == connect().settings


@pytest.mark.parametrize("value", ["", " \t", 7, True, ["prod"], {}])
def test_account_that_is_not_a_text_is_refused(connect, value):
    """An unset variable would let the gates of one account share their holds with nobody."""
    with pytest.raises(VideoDBConfigError, match=r"credit_account .* text that is not empty\. Nothing was sent\. Next"):
        _ = connect(extra={"credit_account": value}).settings


def test_declared_bounds_are_those_that_the_hook_checks(connect):
    """A form that lets a value through which the hook refuses, or the other way round, is a trap."""
    (declared,) = get_provider_info()["connection-types"]
    for name, field in declared["conn-fields"].items():
        schema = field["schema"]
        if "string" in schema["type"]:
            continue
        allowed = [schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1), schema.get("maximum", 1000), None]
        for value in allowed:
            connect(extra={name: value}).get_conn()
        refused = [schema.get("minimum", 0) - 1]
        refused += [schema["maximum"] + 1] if "maximum" in schema else []
        refused += [schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []
        for value in refused:
            with pytest.raises(VideoDBConfigError, match=name):
                connect(extra={name: value}).get_conn()
