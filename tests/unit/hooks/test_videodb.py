"""The connection type, its test, and the secrecy of the key."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.models import Connection as StoredConnection
from airflow.sdk import Connection
from airflow.utils.session import create_session
from asgiref.sync import async_to_sync
from sqlalchemy import delete, select

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.hooks.connection import ConnectionSettings
from airflow_provider_videodb.hooks.videodb import VideoDBHook
from tests.conftest import API_KEY
from tests.support.compat import needs_test_of_stored_connections, redact

AIRFLOW = Path(sys.executable).with_name("airflow")


def test_cancelled_read_of_connection_still_gets_its_response(monkeypatch):
    """In Airflow 3.1, the next question of the triggerer would get it, and the triggerer would end."""

    async def read():
        asked, responded, received = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def ask():
            asked.set()
            await responded.wait()
            received.set()

        def get_connection(conn_id):
            # As Airflow's supervisor channel does in a thread of a triggerer.
            async_to_sync(ask)()
            return Connection(conn_id=conn_id, conn_type="videodb", password=API_KEY)

        hook = VideoDBHook()
        monkeypatch.setattr(hook, "get_connection", get_connection)
        reading = asyncio.create_task(hook.aget_settings())
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        responded.set()
        await asyncio.wait_for(received.wait(), timeout=10)

    asyncio.run(read())


def test_unknown_connection_is_named_with_a_command(airflow_db):
    with pytest.raises(VideoDBConfigError, match="no connection 'no_such'") as caught:
        VideoDBBillingHook("no_such").get_usage()
    assert "airflow connections add no_such --conn-type videodb" in str(caught.value)
    assert "AIRFLOW_CONN_NO_SUCH" in str(caught.value)


@pytest.mark.parametrize("value", ['{"conn_type"', "videodb://:key@host:port"])
def test_variable_that_airflow_cannot_read_is_to_be_corrected(monkeypatch, airflow_db, value):
    monkeypatch.setenv("AIRFLOW_CONN_NO_SUCH", value)
    with pytest.raises(VideoDBConfigError, match="no connection 'no_such'") as caught:
        VideoDBBillingHook("no_such").get_usage()
    assert "Next step: correct AIRFLOW_CONN_NO_SUCH. Its extra has to be a JSON object." in str(caught.value)
    assert "airflow connections add" not in str(caught.value)


def test_connection_is_not_read_before_the_first_call():
    VideoDBBillingHook("no_such")


def test_unknown_connection_is_named_in_a_trigger_too(airflow_db):
    with pytest.raises(VideoDBConfigError, match="no connection 'no_such'"):
        asyncio.run(VideoDBBillingHook("no_such").aget_poll_client())


def test_connection_test_reads_the_balance(emulator):
    assert VideoDBHook().test_connection() == (
        True,
        f"VideoDB at {emulator.base_url} accepted the API key. The balance is 3 credits.",
    )
    assert [(call.method, call.path) for call in emulator.calls()] == [("GET", "/billing/usage")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"password": "sk-wrong"}, "put a valid API key into the connection's password"),
        ({"host": "127.0.0.1:1"}, "check the network, the base URL (the connection's host)"),
        ({"host": "https://127.0.0.1:{port}"}, "check the network, the base URL (the connection's host)"),
        ({"host": "http://127.0.0.1:{port}/wrong"}, "check the base URL in the connection's host"),
        ({"password": None}, "has no password"),
        ({"extra": {"timeout": "soon"}}, "timeout in the extra is 'soon'"),
    ],
)
def test_connection_test_says_what_to_correct(emulator, connect, monkeypatch, fields, expected):
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
        timeout=180,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def connection_of_the_command_line(emulator, airflow_db):
    airflow(
        *["connections", "add", "videodb_cli", "--conn-type", "videodb", "--conn-password", API_KEY],
        *["--conn-host", emulator.base_url, "--conn-extra", '{"timeout": 5, "max_topup_amount": 20}'],
    )
    yield
    with create_session() as session:
        session.execute(delete(StoredConnection).where(StoredConnection.conn_id == "videodb_cli"))


def test_connection_of_the_command_line_is_read(emulator, connection_of_the_command_line):
    # A worker gets it from the API server, which reads what the command wrote from the database.
    with create_session() as session:
        stored = session.scalar(select(StoredConnection).where(StoredConnection.conn_id == "videodb_cli"))
        settings = ConnectionSettings.from_connection(stored)
    assert (settings.base_url, settings.timeout) == (emulator.base_url, 5)
    assert settings.api_key == API_KEY
    assert settings.limits.max_topup_amount == 20


@needs_test_of_stored_connections
def test_connection_of_the_command_line_is_tested(emulator, connection_of_the_command_line):
    shown = airflow("connections", "test", "videodb_cli", AIRFLOW__CORE__TEST_CONNECTION="Enabled")
    assert "Connection success!" in shown
    assert API_KEY not in shown
    assert [(call.path, call.status) for call in emulator.calls()] == [("/billing/usage", 200)]


def test_key_is_redacted_once_the_connection_was_read(connect):
    key = "sk-registered-by-airflow-7c21"
    hook = connect(password=key)
    assert redact(f"a line with {key} in it") == f"a line with {key} in it"
    hook.get_conn()
    assert redact(f"a line with {key} in it") == "a line with *** in it"


@pytest.mark.parametrize(
    "read", [lambda hook: hook.settings, lambda hook: hook.get_conn(), lambda hook: hook.get_poll_client()]
)
def test_hook_registers_the_key_of_any_secrets_backend(monkeypatch, read, request):
    """A secrets backend may return connections that Airflow has not registered."""
    key = f"sk-registered-by-the-hook-{abs(hash(request.node.name))}"
    fields = {"conn_type": "videodb", "password": key, "host": "", "port": None, "schema": None, "extra": None}
    hook = VideoDBBillingHook()
    monkeypatch.setattr(hook, "get_connection", lambda conn_id: SimpleNamespace(conn_id=conn_id, **fields))
    read(hook)
    assert redact(f"a line with {key} in it") == "a line with *** in it"


def test_objects_with_the_key_do_not_show_it(connect):
    hook = connect(host="127.0.0.1:1")
    hook.get_conn()
    for thing in (hook, hook.settings, hook.get_conn(), vars(hook), [hook.settings]):
        assert API_KEY not in repr(thing)
        assert API_KEY not in str(thing)


def test_debug_session_shows_no_key(emulator, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    hook = VideoDBBillingHook()
    hook.topup(5)
    hook.list_checkouts()
    emulator.add_fault("status", status=400, body={"success": False, "message": f"what is {API_KEY}?"})
    assert hook.test_connection()[0] is False
    assert "urllib3" in caplog.text
    assert API_KEY not in caplog.text
    assert API_KEY not in "".join(capsys.readouterr())


def test_form_of_airflow_3_1_has_the_declared_labels():
    declared = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
    assert VideoDBBillingHook.get_ui_field_behaviour() == {
        "hidden_fields": declared["hidden-fields"],
        "relabeling": declared["relabeling"],
        "placeholders": declared["placeholders"],
    }


def test_hook_and_provider_info_agree():
    (declared,) = get_provider_info()["connection-types"]
    assert declared["connection-type"] == VideoDBHook.conn_type
    assert declared["hook-name"] == VideoDBHook.hook_name
    assert declared["hook-class-name"] == f"{VideoDBHook.__module__}.{VideoDBHook.__qualname__}"


def test_airflow_finds_the_hook_of_a_connection(emulator):
    connection = Connection.from_uri(f"videodb://:{API_KEY}@127.0.0.1:{emulator.port}", conn_id="videodb_default")
    hook = connection.get_hook()
    assert type(hook) is VideoDBHook
    assert hook.test_connection()[0]
