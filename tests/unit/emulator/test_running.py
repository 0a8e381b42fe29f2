"""Starting and stopping: as an object in a test, as a command, and as a pytest fixture."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from importlib.metadata import entry_points

import pytest
import requests

from airflow_provider_videodb.emulator.__main__ import main
from airflow_provider_videodb.emulator.errors import InsufficientCreditsError, InvalidValueError
from airflow_provider_videodb.emulator.server import Emulator

PLUGIN = "airflow_provider_videodb.emulator.pytest_plugin"
COMMAND = [sys.executable, "-m", "airflow_provider_videodb.emulator"]


def usage(base_url, key):
    return requests.get(f"{base_url}/billing/usage", headers={"x-access-token": key}, timeout=10)


def test_the_object_says_how_to_reach_it():
    with Emulator(credits="3.5", api_key="sk-mine") as emulator:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", emulator.base_url)
        assert usage(emulator.base_url, "sk-mine").json()["data"]["credit_balance"] == 3.5
        expected = {"conn_type": "videodb", "password": "sk-mine", "host": emulator.base_url}
        assert emulator.connection == json.loads(emulator.connection_json) == expected


def test_it_only_listens_on_loopback(emulator):
    other = socket.create_connection(("127.0.0.1", emulator.port))
    assert other.getpeername()[0] == "127.0.0.1"
    other.close()
    # 127.0.0.2 is loopback as well, but not what was bound: nothing listens on all interfaces.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", emulator.port), timeout=5)


def test_it_can_be_taken_offline_and_keeps_its_account_and_port(emulator, api):
    api.post("/billing/topup", {"amount": 50})
    base_url = emulator.base_url
    with emulator.offline(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", emulator.port), timeout=5)
    assert emulator.base_url == base_url
    assert len(api.get("/billing/checkouts").json()["data"]) == 1
    assert len(emulator.calls()) == 2


def test_wrong_use_is_told():
    with pytest.raises(InvalidValueError, match="dialect must be one of openapi, sample"):
        Emulator(dialect="french")
    emulator = Emulator()
    with pytest.raises(RuntimeError, match="has not been started"):
        _ = emulator.base_url
    emulator.stop()
    with emulator:
        with pytest.raises(RuntimeError, match="running already"):
            emulator.start()
        with pytest.raises(InsufficientCreditsError):
            emulator.charge(4)
        with pytest.raises(OSError, match="Address already in use"):
            Emulator(port=emulator.port).start()


def test_nothing_is_left_running():
    before = threading.active_count()
    for _ in range(5):
        with Emulator() as emulator:
            usage(emulator.base_url, emulator.api_key)
    assert threading.active_count() == before


@pytest.fixture
def command():
    """Start the command with some arguments and return the process and what it printed at its start."""
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        printed = ""
        while "export" not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        return process, printed

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_the_command_prints_what_a_person_needs(command):
    _, printed = command("--credits", "7.5", "--api-key", "sk-it's mine", "--dialect", "sample")
    (line,) = [line for line in printed.splitlines() if "export" in line]
    name, value = shlex.split(line)[1].split("=", 1)
    connection = json.loads(value)
    assert name == "AIRFLOW_CONN_VIDEODB_DEFAULT"
    assert connection["conn_type"] == "videodb"
    assert connection["password"] == "sk-it's mine"
    assert f"Pay here    {connection['host']}/" in printed
    assert usage(connection["host"], connection["password"]).json()["credits_remaining"] == 7.5
    assert requests.get(f"{connection['host']}/", timeout=10).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly_even_while_a_call_hangs(command, number):
    process, printed = command()
    base_url = re.search(r"http://127\.0\.0\.1:\d+", printed).group()
    requests.post(f"{base_url}/_emulator/faults", json={"kind": "hang"}, timeout=10)
    held = socket.create_connection(("127.0.0.1", int(base_url.rsplit(":", 1)[1])))
    held.sendall(b"GET /billing/usage HTTP/1.1\r\nHost: emulator\r\n\r\n")
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert errors == ""
    held.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--credits", "many"], "credits must be a number, got 'many'"),
        (["--credits", "-1"], "credits must be between 0"),
        (["--checkout-ttl", "0"], "checkout_ttl must be greater than 0"),
        (["--dialect", "french"], "invalid choice: 'french'"),
        (["--host", "0.0.0.0"], "binds to 127.0.0.1 only"),
        (["--port", "99999"], "--port must be between 0 and 65535"),
        (["--port", "x"], "invalid int value"),
        (["--api-key", ""], "api_key must be a non-empty string"),
    ],
)
def test_a_wrong_argument_is_named(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_taken_port_is_told(emulator):
    failed = subprocess.run([*COMMAND, "--port", str(emulator.port)], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"cannot listen on 127.0.0.1:{emulator.port}")
    assert "Traceback" not in failed.stderr


def loaded_by(*modules):
    """Return the top-level packages in a fresh interpreter after some imports."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_and_the_plugin_is_cheap():
    heavy = {"fastapi", "starlette", "uvicorn", "pydantic", "requests", "airflow", "videodb", "asyncio"}
    assert loaded_by("airflow_provider_videodb.emulator") & {*heavy, "pytest"} == set()
    assert loaded_by(PLUGIN) & (heavy - {"asyncio"}) == set()


def test_the_emulator_runs_without_airflow_and_requests():
    assert (
        loaded_by("airflow_provider_videodb.emulator.__main__") & {"airflow", "requests", "videodb", "pytest"} == set()
    )


def test_the_fixture_is_new_for_every_test(tmp_path):
    tests = tmp_path / "test_mine.py"
    tests.write_text(
        """
import json, os, sys, urllib.request

def test_first(videodb_emulator):
    assert videodb_emulator.balance == 3
    videodb_emulator.charge(1)
    request = urllib.request.Request(
        videodb_emulator.base_url + "/billing/usage", headers={"x-access-token": videodb_emulator.api_key}
    )
    assert json.load(urllib.request.urlopen(request))["data"]["credit_balance"] == 2
    assert len(videodb_emulator.calls(path="/billing/usage")) == 1

def test_second(videodb_emulator):
    assert videodb_emulator.balance == 3
    assert videodb_emulator.calls() == []
"""
    )
    registered = any(point.value == PLUGIN for point in entry_points(group="pytest11"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tests)]
    environment = {**os.environ, "PYTEST_ADDOPTS": "" if registered else f"-p {PLUGIN}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
