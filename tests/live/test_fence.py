"""
A running Airflow whose tasks are frozen, marked and cleared in the midst of a purchase, and whose database fails.

Each story is told where Airflow keeps the record in its task state store, and where it empties that store when a task
succeeds, so that the record is a Variable.
"""

from __future__ import annotations

import shutil
import signal
import sqlite3
from contextlib import closing, contextmanager

import psutil
import pytest

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import until
from dev.demo.payer import pay
from tests.live.conftest import LIVE_DAGS
from tests.support.compat import needs_task_state_store

TOPUP, USAGE = "/billing/topup", "/billing/usage"
STORES = {"task state store": "False", "variables": "True"}
SETTINGS = {
    # A task whose supervisor is frozen is given up after seconds, not after five minutes.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    # A read that the API server refuses is tried five times by default, for a minute and more.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "1",
}

pytestmark = needs_task_state_store


@pytest.fixture(scope="module")
def fenced_emulator():
    with Emulator(credits=3) as emulator:
        yield emulator


@pytest.fixture(scope="module", params=STORES)
def airflow(request, fenced_emulator, tmp_path_factory):
    dags = tmp_path_factory.mktemp("fence_dags")
    shutil.copy(LIVE_DAGS / "live_fence.py", dags)
    # How long a retry waits for the POST of a try that died is 25 seconds and this.
    connection = fenced_emulator.connection | {"extra": {"timeout": 5}}
    with AirflowInstance(
        tmp_path_factory.mktemp("fence_airflow"),
        dags_folder=dags,
        connections={"videodb_default": connection},
        settings=SETTINGS | {"AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS": STORES[request.param]},
    ) as running:
        running.api.wait_for_dag("live_frozen")
        yield running


@pytest.fixture
def emulator(fenced_emulator):
    fenced_emulator.reset()
    return fenced_emulator


def paid(emulator):
    return [int(checkout.amount) for checkout in emulator.checkouts() if checkout.status == "completed"]


def payable(emulator):
    return [checkout.id for checkout in emulator.checkouts() if checkout.status == "pending"]


@contextmanager
def held(emulator, method, path, **fault):
    """Hold the next call of a kind inside the block, once it has come."""
    calls = len(emulator.calls(method, path))
    hang = emulator.add_fault("hang", method=method, path=path, **fault)

    def wait():
        emulator.wait_for_calls(calls + 1, method, path, timeout=60)

    yield wait
    emulator.remove_fault(hang.id)


@pytest.mark.parametrize("card", [False, True], ids=["link", "card"])
def test_frozen_worker_that_wakes_up_beside_the_next_try_buys_nothing(airflow, emulator, card):
    emulator.change_settings(charge_stored_card=card)
    run = airflow.api.trigger("live_frozen")
    frozen = until(lambda: stopped_process(run), timeout=90, what="the first try to stand still")
    supervisor = frozen.parent()
    try:
        if card:
            assert run.wait(timeout=180) == "success"
        else:
            until(lambda: run.task("top_up")["state"] == "deferred", timeout=180, what="the next try to wait")
    finally:
        for process in (supervisor, frozen):
            process.send_signal(signal.SIGCONT)
    until(lambda: not frozen.is_running() or frozen.status() == psutil.STATUS_ZOMBIE, timeout=60, what="its end")

    assert len(emulator.calls("POST", TOPUP)) == 1
    if not card:
        assert payable(emulator) == [run.xcom("top_up", "payment_url").rsplit("/", 1)[1]]
        pay(run.xcom("top_up", "payment_url"))
        assert run.wait(timeout=90) == "success"
    assert paid(emulator) == [20]


def stopped_process(run):
    pid = run.task("top_up")["pid"]
    if pid is None or not psutil.pid_exists(pid):
        return None
    process = psutil.Process(pid)
    return process if process.status() == psutil.STATUS_STOPPED else None


@pytest.mark.parametrize("card", [False, True], ids=["link", "card"])
def test_task_marked_failed_and_cleared_during_its_post_buys_once(airflow, emulator, card):
    emulator.change_settings(charge_stored_card=card)
    with held(emulator, "POST", TOPUP, work=True, seconds=3) as wait:
        run = airflow.api.trigger("live_fenced")
        wait()
        run.set_task_state("top_up", "failed")
        run.clear("top_up")
        emulator.wait_for_calls(1, "POST", TOPUP, until=lambda call: call.done, timeout=60)

    if not card:
        until(lambda: run.task("top_up")["state"] == "deferred", timeout=180, what="the next try to wait")
        # The link of the first one went to nobody.
        link = run.xcom("top_up", "payment_url")
        assert link.rsplit("/", 1)[1] in payable(emulator)
        pay(link)
    assert run.wait(timeout=180) == "success"
    assert paid(emulator) == [20]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_task_that_was_marked_asks_for_nothing(airflow, emulator, state):
    emulator.change_settings(charge_stored_card=True)
    with held(emulator, "GET", USAGE, work=True) as wait:
        run = airflow.api.trigger("live_fenced")
        wait()
        pid = run.task("top_up")["pid"]
        run.set_task_state("top_up", state)
    until(lambda: not psutil.pid_exists(pid), timeout=60, what="the end of its process")

    assert emulator.calls("POST", TOPUP) == []


def test_task_marked_success_during_its_post_and_cleared_buys_once(airflow, emulator):
    emulator.change_settings(charge_stored_card=True)
    with held(emulator, "POST", TOPUP, work=True) as wait:
        run = airflow.api.trigger("live_fenced")
        wait()
        pid = run.task("top_up")["pid"]
        run.set_task_state("top_up", "success")
    until(lambda: not psutil.pid_exists(pid), timeout=60, what="the end of its process")
    run.clear("top_up")

    assert run.wait(timeout=180) == "success"
    assert paid(emulator) == [20]


def test_paid_task_is_not_bought_again_while_the_database_cannot_be_read(airflow, emulator):
    emulator.change_settings(charge_stored_card=True)
    run = airflow.api.trigger("live_fenced")
    assert run.wait(timeout=90) == "success"
    tries = run.task("top_up")["try_number"]

    with unreadable(airflow):
        run.clear("top_up")
        until(lambda: run.task("top_up")["try_number"] >= tries + 3, timeout=120, what="two tries that fail")
        assert paid(emulator) == [20]
    assert run.wait(timeout=120) == "success"
    assert paid(emulator) == [20]
    assert len(emulator.calls("POST", TOPUP)) == 1


@contextmanager
def unreadable(airflow):
    """Take the tables away in which a record can be, as a database that fails for a moment would."""
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30, isolation_level=None)) as database:
        for table in ("variable", "task_state_store"):
            database.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            yield
        finally:
            for table in ("variable", "task_state_store"):
                database.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
