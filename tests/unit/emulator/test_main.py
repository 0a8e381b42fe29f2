"""The command line."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys

import pytest
import requests

from airflow_provider_videodb import __version__
from airflow_provider_videodb.emulator.__main__ import main

COMMAND = [sys.executable, "-m", "airflow_provider_videodb.emulator"]


@pytest.fixture
def command():
    """Start the command and return the process with its greeting."""
    running = []

    def start(*arguments, until="export"):
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        printed = ""
        while until not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        return process, printed

    yield start
    for process in running:
        process.kill()
        process.communicate()


def usage_of(connection):
    """Return the balance behind a connection. None if its key is refused."""
    headers = {"x-access-token": connection["password"]}
    usage = requests.get(f"{connection['host']}/billing/usage", headers=headers, timeout=60).json()
    return usage["data"]["credit_balance"] if usage["success"] else None


def test_command_prints_address_and_connection(command):
    _, printed = command("--credits", "7.5", "--api-key", "sk-it's mine", "--dialect", "sample")
    (line,) = [line for line in printed.splitlines() if "export" in line]
    name, value = shlex.split(line)[1].split("=", 1)
    connection = json.loads(value)
    assert name == "AIRFLOW_CONN_VIDEODB_DEFAULT"
    assert connection["conn_type"] == "videodb"
    assert connection["password"] == "sk-it's mine"
    assert f"Pay here    {connection['host']}/" in printed
    usage = requests.get(f"{connection['host']}/billing/usage", headers={"x-access-token": "sk-it's mine"}, timeout=60)
    assert usage.json()["credits_remaining"] == 7.5
    assert requests.get(f"{connection['host']}/", timeout=60).status_code == 200


def test_command_prints_a_line_for_each_call_but_no_key(command):
    process, printed = command("--api-key", "sk-emulator-secret")
    base_url = re.search(r"http://127\.0\.0\.1:\d+", printed).group()
    headers = {"x-access-token": "sk-emulator-secret"}
    requests.post(f"{base_url}/billing/topup", json={"amount": 20}, headers=headers, timeout=60)
    requests.post(f"{base_url}/_emulator/faults", json={"kind": "status", "status": 503}, timeout=60)
    requests.get(f"{base_url}/billing/usage", headers=headers, timeout=60)
    requests.get(f"{base_url}/", timeout=60)
    process.send_signal(signal.SIGTERM)
    lines = [line[10:] for line in process.communicate(timeout=60)[0].splitlines() if line]
    assert lines == ["200  POST /billing/topup  $20.00", "503  GET /billing/usage  fault status"]


def test_command_tells_its_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"videodb-emulator {__version__}\n"


def test_command_prints_a_connection_for_each_account(command):
    process, printed = command("--account", "research=5", "--account", "team_2=7.5", until="TEAM_2")
    exported = [shlex.split(line)[1].split("=", 1) for line in printed.splitlines() if "export" in line]
    connections = {name: json.loads(value) for name, value in exported}
    assert list(connections) == ["AIRFLOW_CONN_VIDEODB_RESEARCH", "AIRFLOW_CONN_VIDEODB_TEAM_2"]
    assert [usage_of(connection) for connection in connections.values()] == [5, 7.5]
    stranger = connections["AIRFLOW_CONN_VIDEODB_RESEARCH"] | {"password": "sk-emulator-not-a-secret"}
    assert usage_of(stranger) is None
    process.send_signal(signal.SIGTERM)
    lines = [line[10:] for line in process.communicate(timeout=60)[0].splitlines() if line]
    assert lines == [
        "200  GET /billing/usage  research",
        "200  GET /billing/usage  team_2",
        "401  GET /billing/usage  unknown key",
    ]


def test_emulator_of_a_container_listens_everywhere_and_says_so(command):
    _, printed = command("--host", "0.0.0.0")
    assert "It listens on 0.0.0.0. Anybody who can reach the port controls it without a key." in printed
    (port,) = re.findall(r"Base URL    http://127\.0\.0\.1:(\d+)", printed)
    # The other address stands for the network. A foreign name is refused there too.
    for host, status in (("127.0.0.1", 200), ("emulator", 403)):
        health = requests.get(f"http://127.0.0.2:{port}/health", headers={"Host": host}, timeout=60)
        assert health.status_code == status


def test_allowed_host_may_be_repeated(command):
    _, printed = command("--allowed-host", "videodb.test", "--allowed-host", "videodb")
    base_url = re.search(r"http://127\.0\.0\.1:\d+", printed).group()
    for host, status in (("videodb:8765", 200), ("videodb.test", 200), ("evil.example", 403)):
        assert requests.get(f"{base_url}/health", headers={"Host": host}, timeout=60).status_code == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_stops_cleanly_while_a_call_hangs(command, number):
    process, printed = command()
    base_url = re.search(r"http://127\.0\.0\.1:\d+", printed).group()
    requests.post(f"{base_url}/_emulator/faults", json={"kind": "hang"}, timeout=60)
    held = socket.create_connection(("127.0.0.1", int(base_url.rsplit(":", 1)[1])))
    held.sendall(b"GET /billing/usage HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == ""
    held.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--credits", "many"], "credits must be a number, got 'many'. Nothing was started. Next step: correct"),
        (["--credits", "-1"], "credits must be between 0"),
        (["--checkout-ttl", "0"], "checkout_ttl must be greater than 0"),
        (["--dialect", "french"], "invalid choice: 'french'"),
        (["--host", "192.168.0.1"], "argument --host: invalid choice: '192.168.0.1'"),
        (["--account", "research"], "--account must be NAME=CREDITS, got 'research'. Nothing was started. Next step: "),
        (["--account", "research="], "--account must be NAME=CREDITS, got 'research='"),
        (["--account", "=5"], "--account '=5': the name of an account must be lower-case letters, digits and _"),
        (["--account", "a b=5"], "got 'a b'"),
        (["--account", "a-b=5"], "got 'a-b'"),
        (["--account", "é=5"], "got 'é'"),
        (["--account", "a=-1"], "--account 'a=-1': credits must be between 0 and 1000000000, got -1"),
        (["--account", "a=nan"], "--account 'a=nan': credits must be a finite number"),
        (["--account", "a=many"], "--account 'a=many': credits must be a number, got 'many'"),
        (["--account", "a=1", "--account", "a=2"], "the name of an account must be new, got 'a' twice"),
        (["--account", "a=1", "--credits", "3"], "--credits is for the only account"),
        (["--port", "99999"], "--port must be between 0 and 65535, got 99999. Nothing was started. Next step: "),
        (["--on-shortage", "wait"], "invalid choice: 'wait'"),
        (["--port", "x"], "invalid int value"),
        (["--api-key", ""], "api_key must be a non-empty string"),
    ],
)
def test_wrong_option_is_named_with_the_next_step(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_taken_port_is_named_with_the_next_step(emulator):
    failed = subprocess.run([*COMMAND, "--port", str(emulator.port)], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr == (
        f"Cannot listen on 127.0.0.1:{emulator.port}: Address already in use. Nothing was started.\n"
        "Next step: choose another --port, or use --port 0 for a free one.\n"
    )


def test_help_warns_of_a_checkout_ttl_below_one_day(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "below one day the operators fail, because VideoDB never does that (default: 86400)" in text
