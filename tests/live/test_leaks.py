"""
The key is nowhere after every kind of failure, and the payment link is only where it belongs.

Airflow's masking is off, because the provider must not rely on it. The key is long and random, and has characters that
JSON, Python, HTML and URLs escape. So a piece of it in any spelling is a leak.
"""

from __future__ import annotations

import configparser
import contextlib
import html
import io
import json
import logging
import os
import secrets
import shutil
import signal
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import ProcessDiedError
from tests.support.leaks import PIECE, Scanner, cells_of, files_of
from tests.support.raw_server import RawServer, raw_response
from tests.support.tls import Authority, HttpsFront

DAGS = Path(__file__).parent / "leak_dags"
KEY = f"sk-{secrets.token_hex(10)}\"<{secrets.token_hex(8)}\\&{secrets.token_hex(8)}'%{secrets.token_hex(10)}+/="
STATUSES = {"unauthorized": 401, "forbidden": 403, "unfunded": 402, "unknown": 404, "unprocessable": 422}
#: The words of the log that show that a task failed in the way its id says.
HAPPENED = {
    **{f"post_{kind}": f"HTTP {status}" for kind, status in STATUSES.items()},
    "post_broken": "HTTP 500",
    "post_redirected": "was redirected to",
    "post_garbled": "not a JSON object",
    "poll_unauthorized": "HTTP 401",
    "poll_broken": "HTTP 500",
    "poll_garbled": "not a JSON object",
    "poll_cut": "HTTP 400",
    "wrong_untrusted": "certificate is not trusted",
    "wrong_slow": "no complete response arrived within",
    "wrong_bad_extra": "the extra is not a JSON object",
    "wrong_bad_field": "timeout in the extra is",
    "wrong_bad_json": "videodb_bad_json",
    "wrong_bad_uri": "videodb_bad_uri",
    "wrong_userinfo": "has an unusable host",
    "wrong_schema": "has the schema",
    "wrong_amount": "amount is 'a lot'",
    "limited": "monthly_topup_limit",
    "killed": "terminated by signal",
    "recharge": "HTTP 500",
    "job_refused": "is short of credits",
}


def reply(request):
    """
    Echo the key in the way that the first part of the path says.

    Below `/post/`, a GET gets a right response.
    """
    kind, key = request.path.removeprefix("/post").split("/")[1], request.headers["x-access-token"]
    if request.path.startswith("/post/") and request.method == "GET":
        usage = {"credit_balance": 3, "usage_this_month": 0}
        return raw_response({"success": True, "data": [] if request.path.endswith("/checkouts") else usage})
    if kind in STATUSES:
        spelt = [key, quote(key), html.escape(key), b64encode(key.encode()).decode(), request.headers]
        body = {"success": False, "message": f"refused: {spelt}", "error_code": key}
        return raw_response(body, STATUSES[kind], X_Request_Id=key)
    return {
        "broken": raw_response(f"<html>{html.escape(key)} {request.headers}".encode(), 500, Content_Type=f"text/{key}"),
        "redirected": raw_response(b"", 302, Location=f"https://elsewhere.example/?key={quote(key)}"),
        "garbled": raw_response(f'{{"success": true, "data": "{key}'.encode(), Content_Type=key),
        "cut": raw_response({"success": False, "message": f"bad {key[: PIECE + 2]} or {key[-PIECE - 2 :]}"}, 400),
        "slow": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
    }[kind]


def connections(server, emulator, secure):
    """Return the variable of each connection of the DAGs."""
    base = {"conn_type": "videodb", "password": KEY}
    once = {"timeout": 2, "max_retries": 0}
    kinds = (*STATUSES, "broken", "redirected", "garbled", "cut", "slow")
    faulty = {kind: base | {"host": f"{server}/{kind}", "extra": once} for kind in kinds}
    faulty |= {f"post_{kind}": base | {"host": f"{server}/post/{kind}", "extra": once} for kind in kinds}
    paying = base | {"host": emulator}
    wrong = {
        "untrusted": base | {"host": secure, "extra": once},
        "bad_extra": base | {"extra": f'{{"timeout": "{KEY}'},
        "bad_field": base | {"extra": {"timeout": KEY}},
        "userinfo": base | {"host": f"https://user:{KEY}@127.0.0.1:1"},
        "schema": base | {"schema": KEY},
    }
    texts = {
        "bad_json": f'{{"conn_type": "videodb", "password": {json.dumps(KEY)}, "extra": ',
        "bad_uri": f"videodb://:{KEY}@[127.0.0.1:not-a-port/?timeout=1",
    }
    limited = paying | {"extra": {"monthly_topup_limit": 25}}
    known = faulty | wrong | {"pays": paying | {"extra": {"timeout": 30}}, "limited": limited}
    spelt = {name: json.dumps(fields) for name, fields in known.items()} | texts
    return {f"AIRFLOW_CONN_VIDEODB_{name.upper()}": text for name, text in spelt.items()}


@pytest.fixture(scope="module")
def airflow_and_emulator(tmp_path_factory):
    """
    Run an Airflow that hides nothing, the failing server and the emulator.

    Yield also what the server and the emulator print.
    """
    printed, log = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(printed)
    folder = tmp_path_factory.mktemp("leaks")
    shutil.copytree(DAGS, folder / "dags")
    context = Authority(folder).server_context("127.0.0.1")
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        RawServer(reply) as server,
        Emulator(credits=3, api_key=KEY) as emulator,
        HttpsFront(context, server.url, lambda *_: None) as front,
    ):
        log.addHandler(handler)
        secure = f"https://127.0.0.1:{front.port}"
        settings = connections(server.url, emulator.base_url, secure)
        settings["AIRFLOW__CORE__HIDE_SENSITIVE_VAR_CONN_FIELDS"] = "False"
        with AirflowInstance(folder / "home", dags_folder=folder / "dags", parallelism=6, settings=settings) as airflow:
            for dag_id in ("live_link", "live_leaks"):
                airflow.api.wait_for_dag(dag_id)
            yield airflow, emulator, printed
        log.removeHandler(handler)


class Remains:
    """
    What was left behind.

    :param link: the payment link of `waits`.
    :param everything: every text, by where it was found.
    :param logs: the logs of each task.
    :param shown: what the UI shows of each task besides its log: rendered fields, XComs.
    """

    def __init__(self, link):
        self.link = link
        self.everything = {}
        self.logs = {}
        self.shown = {}


@pytest.fixture(scope="module")
def remains(airflow_and_emulator):
    """Let everything fail, and collect what is left."""
    airflow, emulator, printed = airflow_and_emulator
    waiting = airflow.api.trigger("live_link")
    waiting.wait_for_task("waits", "deferred", timeout=180)
    found = Remains(waiting.xcom("waits", "payment_url"))
    found.everything |= {f"while it waits: {name}": text for name, text in database(airflow).items()}
    emulator.add_fault("hang", method="POST", path="/billing/topup", seconds=300)
    failing = airflow.api.trigger("live_leaks")

    with ThreadPoolExecutor() as others:
        commands = others.submit(run_commands, airflow)
        emulator.wait_for_calls(2, "POST", "/billing/topup", timeout=240)
        found.everything |= {f"meanwhile: {name}": text for name, text in database(airflow).items()}
        os.kill(failing.task("killed")["pid"], signal.SIGKILL)
        assert failing.wait(timeout=400) == "failed"
        found.everything |= commands.result()
    assert waiting.wait(timeout=240) == "failed"

    for run in (waiting, failing):
        for task in run.tasks():
            name = task["task_id"]
            found.logs[name] = "".join(path.read_text() for path in airflow.logs.rglob(f"*task_id={name}/*.log*"))
            path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{name}/xcomEntries"
            xcoms = [run.xcom(name, entry["key"]) for entry in airflow.api.pages(path, "xcom_entries")]
            found.shown[name] = json.dumps([task["rendered_fields"], xcoms, run.links(name)])
        found.everything[f"audit log of {run.dag_id}"] = json.dumps(run.events()).encode()
    found.everything |= {f"log of {name}": text.encode() for name, text in found.logs.items()}
    found.everything |= {f"page of {name}": text.encode() for name, text in found.shown.items()}
    found.everything |= database(airflow)
    found.everything |= files_of(airflow.home)
    found.everything["printed by the emulator"] = printed.getvalue().encode()
    return found


def database(airflow):
    config = configparser.ConfigParser(interpolation=None)
    config.read(airflow.home / "airflow.cfg")
    cells = cells_of(airflow.home / "airflow.db", config["core"]["fernet_key"])
    return {f"table {name}": text for name, text in cells.items()}


def run_commands(airflow):
    """Return what commands print, those that fail included."""
    commands = [("connections", "test", f"videodb_{name}") for name in ("broken", "userinfo", "bad_uri")]
    if VARIABLES_CAN_BE_LISTED:
        commands += [("videodb", "holds", "list"), ("videodb", "holds", "release", "nobody")]

    def output(command):
        try:
            return airflow.run_command(*command)
        except ProcessDiedError as err:
            return str(err)

    return {f"airflow {' '.join(command)}": output(command).encode() for command in commands}


def test_every_task_fails_in_its_way(remains):
    missing = {name: words for name, words in HAPPENED.items() if words not in remains.logs[name]}
    assert missing == {}
    assert set(remains.logs) == {*HAPPENED, "waits", "gate"}


def test_key_is_nowhere(remains):
    scanner = Scanner(KEY)
    leaks = {name: leak for name, text in remains.everything.items() if (leak := scanner.found_in(text))}
    assert leaks == {}


def test_link_is_only_where_the_task_that_waits_shows_it(remains):
    with_link = {name for name, text in remains.logs.items() if remains.link in text}
    assert with_link == {"waits"}
    assert {name for name, text in remains.shown.items() if remains.link in text} == {"waits"}
    places = {name for name, text in remains.everything.items() if remains.link.encode() in text}
    assert {name for name in places if not may_show_link(name)} == set()
    # The purchase that waits was found where it has to be.
    assert {"table xcom", "while it waits: table trigger"} <= places


def may_show_link(name):
    """Say whether the task that waits, or Airflow, keeps data there."""
    of_the_task = ("log of waits", "page of waits", "reports/waits.txt")
    # The first is what Required Actions show.
    tables = (
        "hitl_detail",
        *("xcom", "trigger", "task_state_store", "variable", "task_instance", "task_instance_history"),
    )
    kept = {f"{when}table {table}" for when in ("", "while it waits: ", "meanwhile: ") for table in tables}
    # A worker of LocalExecutor writes into the scheduler's log.
    return (
        name in {*of_the_task, *kept, "logs/scheduler.log"} or "task_id=waits/" in name or name.startswith("airflow.db")
    )
