"""What a poll reports: once for all its tasks, and nothing that it did not read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb import metrics
from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.metrics import (
    AVAILABLE,
    BALANCE,
    GATES_WAITING,
    HELD,
    POLL_FAILURES,
    POLLS,
    TASKS_WAITING,
)
from airflow_provider_videodb.purchases.rules.credit_wait import CreditWait
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.triggers._poll_metrics import PollKind, record_tick
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from tests.support.records import purchase_of
from tests.support.stats import kept_metrics
from tests.support.triggerer import polled, triggerer
from tests.unit.triggers.poll_results import balance
from tests.unit.triggers.test_credits_holds import NOW, flag, seen

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("emulator")]

WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 0.1}
CONN = "videodb_default"


@pytest.fixture
def sent(monkeypatch):
    monkeypatch.setattr(metrics, "_hostname", lambda: "vm")
    with kept_metrics(monkeypatch) as sent:
        yield sent


def gate(threshold=10, **arguments):
    return CreditThresholdTrigger(threshold=threshold, **WAIT | arguments)


async def test_balance_and_polls_are_reported(emulator, sent):
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator, 3)
        await airflow.until(lambda: sent.of(POLLS).get((CONN, "balance"), 0) >= 3)
        assert sent.of(BALANCE) == {(CONN,): 3}
        assert sent.of(POLL_FAILURES) == {}


async def test_failed_poll_is_counted_by_class_and_reports_no_balance(emulator, sent):
    emulator.add_fault("status", path="/billing/usage", times=None, status=503)
    async with triggerer() as airflow:
        await airflow.start(gate(max_consecutive_failures=2))
        await airflow.events(1)
    assert sent.of(POLL_FAILURES) == {(CONN, "balance", "VideoDBServerError"): 2}
    assert sent.of(POLLS) == {(CONN, "balance"): 2}
    assert sent.of(BALANCE) == {}


async def test_missing_connection_is_a_failure_of_the_poll(sent):
    async with triggerer() as airflow:
        await airflow.start(gate(videodb_conn_id="nowhere", max_consecutive_failures=2))
        await airflow.events(1)
    assert sent.of(POLL_FAILURES) == {("nowhere", "balance", "VideoDBNoConnectionError"): 2}


async def test_waiting_tasks_are_counted_by_kind_and_each_once(emulator, sent):
    BillingClient(emulator.api_key, base_url=emulator.base_url).topup(20)
    purchase = purchase_of(emulator.checkouts()[0].id)
    wait = CreditWait(purchase=Purchase.from_dict(purchase), deadline=9e9).to_dict()
    both = EnsureCreditsTrigger(threshold=100, wait=wait, **WAIT)
    payment = CheckoutTrigger(purchase=purchase, **WAIT)
    async with triggerer() as airflow:
        ids = await airflow.start(gate(), gate(50), gate(70, poll_interval=0.2), both, payment)
        counted = {(CONN, "credits", "vm"): 3, (CONN, "payment", "vm"): 2}
        await airflow.until(lambda: sent.of(TASKS_WAITING) == counted)
        for trigger_id in ids:
            await airflow.cancel(trigger_id)
        await airflow.idle()
        assert sent.of(TASKS_WAITING) == dict.fromkeys(counted, 0)


async def test_task_that_waits_in_its_worker_is_not_counted(emulator, sent):
    emulator.set_balance(20)
    async for event in gate().run():
        assert event.payload["status"] == "enough"
    assert sent.of(BALANCE) == {(CONN,): 20}
    assert sent.of(TASKS_WAITING) == {}


FLAGS = (
    flag(Kind.HELD, "12.5"),
    flag(Kind.RELEASED, "4", "settling.-1", ms=NOW + 60_000),
    flag(Kind.WAITING, "50", "third.-1"),
    flag(Kind.WAITING, "60", "fourth.-1"),
)


def test_holds_of_all_gates_are_reported(sent):
    record_tick(CONN, PollKind.BALANCE, seen("100", *FLAGS, credit_reserve=Decimal(10)))
    assert sent.of(BALANCE) == {(CONN,): 100}
    assert sent.of(HELD) == {(CONN,): 16.5}
    assert sent.of(AVAILABLE) == {(CONN,): 73.5}
    assert sent.of(GATES_WAITING) == {(CONN,): 2}


@pytest.mark.parametrize("result", [seen("100", *FLAGS, is_complete=False), balance("100")])
def test_holds_that_were_not_listed_are_not_reported(sent, result):
    record_tick(CONN, PollKind.BALANCE, result)
    assert sent.of(BALANCE) == {(CONN,): 100}
    assert sent.of(HELD) == sent.of(AVAILABLE) == sent.of(GATES_WAITING) == {}


async def test_open_gate_is_not_counted_any_more(emulator, sent):
    async with triggerer() as airflow:
        await airflow.start(gate(), gate(50))
        await airflow.until(lambda: sent.of(TASKS_WAITING) == {(CONN, "credits", "vm"): 2})
        emulator.set_balance(20)
        await airflow.events(1)
        await airflow.until(lambda: sent.of(TASKS_WAITING) == {(CONN, "credits", "vm"): 1})


async def test_many_tasks_send_as_much_as_one(emulator, sent, monkeypatch):
    values: list[str] = []
    gauge = sent.logger.gauge
    monkeypatch.setattr(sent.logger, "gauge", lambda name, *a, **k: [values.append(name), gauge(name, *a, **k)])
    async with triggerer() as airflow:
        await airflow.start(*(gate(10 + number) for number in range(300)))
        await airflow.until(lambda: sent.of(TASKS_WAITING) == {(CONN, "credits", "vm"): 300})
        before = len(emulator.calls("GET", "/billing/usage"))
        values.clear()
        await polled(emulator, 5)
        polls = len(emulator.calls("GET", "/billing/usage")) - before + 1
        assert 0 < values.count(BALANCE.name) <= polls
        assert values.count(TASKS_WAITING.name) <= 3 * polls


async def test_broken_stats_leaves_the_wait_alone(emulator, sent, monkeypatch):
    def fail():
        raise OSError("no route to the metrics")

    monkeypatch.setattr(metrics, "_stats", fail)
    async with triggerer() as airflow:
        await airflow.start(gate())
        await polled(emulator)
        emulator.set_balance(20)
        assert (await airflow.payload())["status"] == "enough"
