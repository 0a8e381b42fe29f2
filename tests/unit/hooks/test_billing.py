"""From an Airflow connection, in every form it can be written down, to VideoDB's billing API."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from airflow.models import Connection as StoredConnection
from airflow.sdk import Connection
from airflow.sdk.log import redact
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBLimitExceededError
from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.hooks.billing import ConnectionSettings, VideoDBBillingHook
from tests.conftest import API_KEY

AIRFLOW = Path(sys.executable).with_name("airflow")
PRODUCTION = "https://api.videodb.io"
CONN_ID = "videodb_default"


@pytest.fixture
def connect(monkeypatch):
    """Return what makes a hook on a connection that is given as `AIRFLOW_CONN_…` would be."""

    def hook_on(value=None, **fields):
        value = json.dumps({"conn_type": "videodb", "password": API_KEY, **fields}) if value is None else value
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", value)
        return VideoDBBillingHook()

    return hook_on


@pytest.fixture
def short_waits(monkeypatch):
    """Make a list that lags a matter of moments."""
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_LAG", timedelta(seconds=0.05))
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.DATE_STEP", timedelta(seconds=0.05))
    monkeypatch.setattr("airflow_provider_videodb.hooks.limited_client.LIST_POLL_INTERVAL", timedelta(seconds=0.05))


@pytest.fixture
def limited(emulator, connect):
    """Return what makes a hook on the emulator with limits."""
    return lambda **extra: connect(host=emulator.base_url, extra=extra)


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
def test_a_connection_as_a_uri(connect, uri, base_url):
    hook = connect(uri.replace("KEY", API_KEY))
    assert hook.settings.api_key == API_KEY
    assert hook.get_conn().base_url == base_url


def test_the_password_of_another_kind_of_connection_is_not_sent_to_videodb(emulator, connect):
    hook = connect(json.dumps({"conn_type": "postgres", "password": API_KEY, "host": emulator.base_url}))

    with pytest.raises(VideoDBConfigError, match="'videodb_default' is of the type 'postgres'"):
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
def test_a_connection_as_a_uri_with_fields(connect, query):
    settings = connect(f"videodb://:{API_KEY}@{query}").settings
    assert (settings.timeout, settings.max_retries) == (5, 3)
    assert settings.limits.max_topup_amount == Decimal("20.5")
    assert settings.limits.monthly_topup_limit is None


def test_a_key_with_special_characters_is_percent_encoded_in_a_uri(connect):
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
def test_a_connection_as_json(connect, fields):
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


def test_the_defaults_are_those_of_the_client(connect):
    settings = connect().settings
    assert (settings.base_url, settings.timeout, settings.max_retries) == (PRODUCTION, 30, 3)


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
        ({"extra": {"max_topup_ammount": 20}}, "max_topup_ammount"),
        ({"extra": {"Timeout": 20}}, "Timeout"),
        ({"extra": {"api_key": "sk-secret"}}, "api_key"),
        ({"extra": "{max_topup_amount: 20}"}, "extra"),
        ({"extra": "[1]"}, "extra"),
        ({"extra": "20"}, "extra"),
        ({"extra": "null"}, "extra"),
    ],
)
def test_a_broken_field_is_named_and_nothing_is_sent(connect, monkeypatch, fields, named):
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: pytest.fail("something was sent"))
    with pytest.raises(VideoDBConfigError) as caught:
        connect(**fields).get_usage()
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)
    assert API_KEY not in str(caught.value)


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
@pytest.mark.parametrize("field", ["max_topup_amount", "monthly_topup_limit", "timeout", "max_retries"])
@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_field_that_arrives_empty_or_as_no_number_is_refused(connect, monkeypatch, write, field, value):
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


@pytest.mark.parametrize("field", ["max_topup_amount", "monthly_topup_limit", "timeout", "max_retries"])
@pytest.mark.parametrize(
    "value",
    [True, False, [], [50], {}, -1, float("nan"), float("inf"), -0.5, 10**400, "9" * 5000],
    ids=lambda v: str(v)[:9],
)
def test_a_field_of_another_type_is_refused(connect, field, value):
    with pytest.raises(VideoDBConfigError, match=field) as caught:
        connect(extra={field: value}).topup(1000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("field", ["max_topup_amount", "monthly_topup_limit"])
@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value != "null"])
def test_a_limit_that_is_stored_from_a_uri_is_refused_too(field, value):
    """Before it stores a connection, Airflow reads the values of a URI as JSON; its null is not set, as the form's."""
    stored = StoredConnection(conn_id=CONN_ID, uri=uri_with(field, value))
    with pytest.raises(VideoDBConfigError, match=field):
        ConnectionSettings.from_connection(stored)


@pytest.mark.parametrize("field", ["max_topup_amount", "monthly_topup_limit", "timeout", "max_retries"])
def test_null_is_not_set(connect, field):
    """The form of the UI writes it where a number was removed."""
    assert connect(extra={field: None}).settings == connect().settings


@pytest.mark.parametrize("value", [None, '{"conn_type"', "videodb://:key@host:port"])
def test_an_unknown_connection_is_named_with_the_way_to_add_it(monkeypatch, airflow_db, value):
    if value:
        monkeypatch.setenv("AIRFLOW_CONN_NO_SUCH", value)
    with pytest.raises(VideoDBConfigError, match="no connection 'no_such'") as caught:
        VideoDBBillingHook("no_such").get_usage()
    assert "airflow connections add no_such --conn-type videodb" in str(caught.value)
    assert "AIRFLOW_CONN_NO_SUCH" in str(caught.value)


def test_nothing_is_read_before_the_first_call():
    VideoDBBillingHook("no_such")


def test_the_connection_is_read_once_and_the_client_is_kept(connect, monkeypatch):
    hook = connect()
    client = hook.get_conn()
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
    assert hook.get_conn() is client


def test_timeout_and_retries_reach_the_client(connect):
    sender = connect(extra={"timeout": 7, "max_retries": 1}).get_conn()._transport
    assert (sender.timeout, sender.max_retries) == (7, 1)


def test_a_client_for_polling_tries_nothing_again(connect):
    hook = connect(extra={"timeout": 7, "max_retries": 5})
    for client in (hook.get_poll_client(), asyncio.run(hook.aget_poll_client())):
        assert (client._transport.timeout, client._transport.max_retries) == (7, 0)


def test_an_unknown_connection_is_named_in_a_trigger_too(airflow_db):
    with pytest.raises(VideoDBConfigError, match="no connection 'no_such'"):
        asyncio.run(VideoDBBillingHook("no_such").aget_poll_client())


def test_every_call_of_the_client_can_be_made_through_the_hook(emulator):
    hook = VideoDBBillingHook()
    checkout = hook.topup(5, currency="usd", redirect_url="https://app.example/done", idempotency_key="mine")
    hook.create_checkout(6, success_url="https://app.example/done", cancel_url="https://app.example/back")
    hook.create_checkout(mode="subscription", plan_id="pro")
    emulator.pay(checkout.id)
    assert hook.get_usage().credit_balance == 8
    assert {entry.amount for entry in hook.list_checkouts()} >= {5, 6}
    assert len(hook.list_checkouts(limit=1)) == 1
    assert [invoice.amount for invoice in hook.list_invoices(1)] == [5]
    assert hook.set_auto_recharge(enabled=True, threshold="10.5", amount=50.0).threshold == Decimal("10.5")
    assert hook.get_auto_recharge().enabled is True
    assert emulator.calls("POST", "/billing/topup")[0].headers["idempotency-key"] == "mine"


@pytest.mark.parametrize("figures", [{"threshold": "many"}, {"threshold": -1}, {"amount": True}, {"amount": "NaN"}])
def test_a_broken_auto_recharge_figure_is_named_and_nothing_is_sent(emulator, figures):
    with pytest.raises(VideoDBConfigError, match=next(iter(figures))):
        VideoDBBillingHook().set_auto_recharge(enabled=True, **figures)
    assert emulator.calls() == []


BUY = [
    pytest.param(lambda hook, amount: hook.topup(amount), id="topup"),
    pytest.param(lambda hook, amount: hook.create_checkout(amount), id="payment"),
    pytest.param(
        lambda hook, amount: hook.create_checkout(amount, mode="subscription", plan_id="p"), id="subscription"
    ),
]


@pytest.mark.parametrize("buy", BUY)
def test_a_purchase_over_the_limit_of_the_connection_is_refused_and_never_sent(emulator, limited, buy):
    hook = limited(max_topup_amount=20)
    buy(hook, 20)
    with pytest.raises(VideoDBLimitExceededError, match=r"connection videodb_default allows in one purchase: 20 USD"):
        buy(hook, 21)
    assert len(emulator.calls("POST")) == 1


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("buy", BUY)
def test_the_month_is_full_when_paid_and_payable_checkouts_fill_it(emulator, limited, buy):
    hook = limited(monthly_topup_limit=100)
    emulator.pay(hook.topup(60).id)
    hook.topup(30)
    emulator.expire(hook.topup(10).id)
    with pytest.raises(VideoDBLimitExceededError, match=r"\(monthly_topup_limit\). 90 USD in 2 checkouts count"):
        buy(hook, 11)
    assert len(emulator.checkouts()) == 3
    buy(hook, 10)
    assert len(emulator.checkouts()) == 4


@pytest.mark.usefixtures("short_waits")
def test_a_month_begins_empty(emulator, limited):
    hook = limited(monthly_topup_limit=100)
    emulator.pay(hook.topup(100).id)
    with pytest.raises(VideoDBLimitExceededError):
        hook.topup(1)
    next_month = datetime.now(UTC).replace(day=1) + timedelta(days=32)

    class LaterDatetime(datetime):
        @classmethod
        def now(cls, tz=None):
            return next_month.astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_videodb.hooks.limited_client.datetime", LaterDatetime)
        emulator.advance((next_month - datetime.now(UTC)).total_seconds())
        hook.topup(100)
    assert len(emulator.checkouts()) == 2


def test_a_limit_of_zero_allows_nothing(emulator, limited):
    with pytest.raises(VideoDBLimitExceededError):
        limited(max_topup_amount=0).topup(1)
    assert emulator.calls() == []


def test_a_month_that_cannot_be_read_allows_nothing(emulator, limited):
    emulator.add_fault("html", path="/billing/checkouts", times=None)
    with pytest.raises(Exception, match="not a JSON object"):
        limited(monthly_topup_limit=100).topup(1)
    assert emulator.calls("POST") == []


@pytest.mark.parametrize("amount", ["5", 5.5, True, 0, None])
def test_an_amount_that_is_none_is_named_before_any_limit(emulator, limited, amount):
    with pytest.raises(VideoDBConfigError, match="amount is"):
        limited(max_topup_amount=20, monthly_topup_limit=20).topup(amount)
    assert emulator.calls() == []


def test_the_connection_test_says_who_answered_and_what_balance(emulator):
    assert VideoDBBillingHook().test_connection() == (
        True,
        f"Reached VideoDB at {emulator.base_url}; the credit balance is 3.",
    )
    assert [(call.method, call.path) for call in emulator.calls()] == [("GET", "/billing/usage")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"password": "sk-wrong"}, "Put a valid API key into the connection's password"),
        ({"host": "127.0.0.1:1"}, "Check the network and the connection's host"),
        ({"host": "https://127.0.0.1:{port}"}, "Check the network and the connection's host"),
        ({"host": "http://127.0.0.1:{port}/wrong"}, "Check the base URL in the connection's host"),
        ({"password": None}, "has no password"),
        ({"extra": {"timeout": "soon"}}, "timeout in the extra is 'soon'"),
    ],
)
def test_the_connection_test_says_what_to_mend(emulator, connect, monkeypatch, fields, expected):
    monkeypatch.setattr("time.sleep", lambda _: None)
    fields = {"host": emulator.base_url} | fields
    reached, message = connect(**fields | {"host": fields["host"].format(port=emulator.port)}).test_connection()
    assert reached is False
    assert expected in message
    assert API_KEY not in message


def airflow(*arguments, **variables):
    result = subprocess.run(
        [AIRFLOW, *arguments],
        # Without a key for the database, as in the process of the tests.
        env=os.environ | {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING", "AIRFLOW__CORE__FERNET_KEY": ""} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_connection_added_on_the_command_line_is_read_and_tested(emulator, airflow_db):
    airflow(
        *["connections", "add", "videodb_cli", "--conn-type", "videodb", "--conn-password", API_KEY],
        *["--conn-host", emulator.base_url, "--conn-extra", '{"timeout": 5, "max_topup_amount": 20}'],
    )
    # A worker gets it from the API server, which reads what the command wrote from the database.
    with create_session() as session:
        stored = session.scalar(select(StoredConnection).where(StoredConnection.conn_id == "videodb_cli"))
        settings = ConnectionSettings.from_connection(stored)
    assert (settings.base_url, settings.timeout) == (emulator.base_url, 5)
    assert settings.api_key == API_KEY
    assert settings.limits.max_topup_amount == 20
    shown = airflow("connections", "test", "videodb_cli", AIRFLOW__CORE__TEST_CONNECTION="Enabled")
    assert "Connection success!" in shown
    assert API_KEY not in shown
    assert [(call.path, call.status) for call in emulator.calls()] == [("/billing/usage", 200)]


def test_a_log_line_with_the_key_is_redacted_once_the_connection_was_read(connect):
    key = "sk-registered-by-airflow-7c21"
    hook = connect(password=key)
    assert redact(f"a line with {key} in it") == f"a line with {key} in it"
    hook.get_conn()
    assert redact(f"a line with {key} in it") == "a line with *** in it"


@pytest.mark.parametrize(
    "read", [lambda hook: hook.settings, lambda hook: hook.get_conn(), lambda hook: hook.get_poll_client()]
)
def test_the_hook_registers_the_key_itself_wherever_the_connection_comes_from(monkeypatch, read, request):
    """A secrets backend of one's own may hand out connections that Airflow has not registered."""
    key = f"sk-registered-by-the-hook-{abs(hash(request.node.name))}"
    fields = {"conn_type": "videodb", "password": key, "host": "", "port": None, "schema": None, "extra": None}
    hook = VideoDBBillingHook()
    monkeypatch.setattr(hook, "get_connection", lambda conn_id: SimpleNamespace(conn_id=conn_id, **fields))
    read(hook)
    assert redact(f"a line with {key} in it") == "a line with *** in it"


def test_objects_that_hold_the_key_do_not_show_it(connect):
    hook = connect(host="127.0.0.1:1")
    hook.get_conn()
    for thing in (hook, hook.settings, hook.get_conn(), vars(hook), [hook.settings]):
        assert API_KEY not in repr(thing)
        assert API_KEY not in str(thing)


def test_a_whole_session_at_debug_shows_no_key(emulator, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    hook = VideoDBBillingHook()
    hook.topup(5)
    hook.list_checkouts()
    emulator.add_fault("status", status=400, body={"success": False, "message": f"what is {API_KEY}?"})
    assert hook.test_connection()[0] is False
    assert "urllib3" in caplog.text
    assert API_KEY not in caplog.text
    assert API_KEY not in "".join(capsys.readouterr())


def test_the_form_of_older_airflows_has_the_labels_of_the_provider_info():
    declared = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
    assert VideoDBBillingHook.get_ui_field_behaviour() == {
        "hidden_fields": declared["hidden-fields"],
        "relabeling": declared["relabeling"],
        "placeholders": declared["placeholders"],
    }


def test_the_hook_and_the_provider_info_agree():
    (declared,) = get_provider_info()["connection-types"]
    assert declared["connection-type"] == VideoDBBillingHook.conn_type
    assert declared["hook-name"] == VideoDBBillingHook.hook_name
    assert declared["hook-class-name"] == f"{VideoDBBillingHook.__module__}.{VideoDBBillingHook.__qualname__}"


def test_every_declared_field_is_read_within_its_declared_bounds(connect):
    """A form that lets a value through which the hook refuses, or the other way round, is a trap."""
    (declared,) = get_provider_info()["connection-types"]
    for name, field in declared["conn-fields"].items():
        schema = field["schema"]
        allowed = [schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1), schema.get("maximum", 1000), None]
        for value in allowed:
            connect(extra={name: value}).get_conn()
        refused = [schema.get("minimum", 0) - 1]
        refused += [schema["maximum"] + 1] if "maximum" in schema else []
        refused += [schema["exclusiveMinimum"]] if "exclusiveMinimum" in schema else []
        for value in refused:
            with pytest.raises(VideoDBConfigError, match=name):
                connect(extra={name: value}).get_conn()


def test_a_fingerprint_tells_accounts_apart_and_no_key(connect):
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


def test_airflow_finds_the_hook_of_a_connection(emulator):
    connection = Connection.from_uri(f"videodb://:{API_KEY}@127.0.0.1:{emulator.port}", conn_id=CONN_ID)
    hook = connection.get_hook()
    assert isinstance(hook, VideoDBBillingHook)
    assert hook.get_usage().credit_balance == 3
