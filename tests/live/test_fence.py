"""
A task is frozen, marked or cleared during a purchase, or its database fails.

Each test runs with each store. If VideoDB charges a stored card, a second purchase is paid at once.
"""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing, contextmanager

import psutil
import pytest

from dev.airflow.processes import until
from dev.demo.payer import pay
from tests.live.conftest import CLEAR_ON_SUCCESS
from tests.support.compat import needs_task_state_store

TOPUP, USAGE = "/billing/topup", "/billing/usage"

pytestmark = [needs_task_state_store, pytest.mark.parametrize("fenced_airflow", CLEAR_ON_SUCCESS, indirect=True)]
with_link_and_card = pytest.mark.parametrize("card", [False, True], ids=["link", "card"])


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
    """Hold the next call of a kind; the block gets a function that waits for it."""
    calls = len(emulator.calls(method, path))
    hang = emulator.add_fault("hang", method=method, path=path, **fault)

    def wait():
        emulator.wait_for_calls(calls + 1, method, path, timeout=60)

    yield wait
    emulator.remove_fault(hang.id)


@with_link_and_card
def test_frozen_worker_that_wakes_up_buys_nothing(fenced_airflow, emulator, card):
    emulator.change_settings(charge_stored_card=card)
    run = fenced_airflow.api.trigger("live_frozen")
    frozen = until(lambda: stopped_process(run), timeout=90, what="the first try to freeze")
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


@with_link_and_card
def test_task_failed_and_cleared_during_its_post_buys_once(fenced_airflow, emulator, card):
    emulator.change_settings(charge_stored_card=card)
    with held(emulator, "POST", TOPUP, work=True, seconds=3) as wait:
        run = fenced_airflow.api.trigger("live_fenced")
        wait()
        run.set_task_state("top_up", "failed")
        assert run.wait() == "failed"
        run.clear("top_up")
        emulator.wait_for_calls(1, "POST", TOPUP, until=lambda call: call.done, timeout=60)

    if not card:
        until(lambda: run.task("top_up")["state"] == "deferred", timeout=180, what="the next try to wait")
        # Nobody got the link of the first try.
        link = run.xcom("top_up", "payment_url")
        assert link.rsplit("/", 1)[1] in payable(emulator)
        pay(link)
    assert run.wait(timeout=180) == "success"
    assert paid(emulator) == [20]


@pytest.mark.parametrize("state", ["failed", "success"])
def test_marked_task_buys_nothing(fenced_airflow, emulator, state):
    emulator.change_settings(charge_stored_card=True)
    with held(emulator, "GET", USAGE, work=True) as wait:
        run = fenced_airflow.api.trigger("live_fenced")
        wait()
        pid = run.task("top_up")["pid"]
        run.set_task_state("top_up", state)
    until(lambda: not psutil.pid_exists(pid), timeout=60, what="the end of its process")

    assert emulator.calls("POST", TOPUP) == []


def test_task_marked_success_and_cleared_buys_once(fenced_airflow, emulator):
    emulator.change_settings(charge_stored_card=True)
    with held(emulator, "POST", TOPUP, work=True) as wait:
        run = fenced_airflow.api.trigger("live_fenced")
        wait()
        pid = run.task("top_up")["pid"]
        run.set_task_state("top_up", "success")
    until(lambda: not psutil.pid_exists(pid), timeout=60, what="the end of its process")
    assert run.wait() == "success"
    run.clear("top_up")

    assert run.wait(timeout=180) == "success"
    assert paid(emulator) == [20]


def test_unreadable_record_is_not_taken_for_none(fenced_airflow, emulator):
    emulator.change_settings(charge_stored_card=True)
    run = fenced_airflow.api.trigger("live_fenced")
    assert run.wait(timeout=90) == "success"
    tries = run.task("top_up")["try_number"]

    with unreadable(fenced_airflow):
        run.clear("top_up")
        until(lambda: run.task("top_up")["try_number"] >= tries + 3, timeout=120, what="two tries that fail")
        assert paid(emulator) == [20]
    assert run.wait(timeout=120) == "success"
    assert paid(emulator) == [20]
    assert len(emulator.calls("POST", TOPUP)) == 1


@contextmanager
def unreadable(airflow):
    """Make the tables with the records unreadable inside the block."""
    with closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30, isolation_level=None)) as database:
        for table in ("variable", "task_state_store"):
            database.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            yield
        finally:
            for table in ("variable", "task_state_store"):
                database.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
