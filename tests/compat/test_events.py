"""
Events that a trigger of a released version sent, read by the tasks of this one.

Each file of ``events`` is what the database keeps between trigger and task. A file is never changed, because tasks
resume while somebody upgrades or downgrades.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_videodb.exceptions import (
    VideoDBPaymentTimeoutError,
    VideoDBServerError,
)
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.triggers._base import BillingTrigger
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from airflow_provider_videodb.version_compat import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from tests.integration.conftest import short_waits  # noqa: F401 - a fixture
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.compat import needs_listed_variables
from tests.support.purchases import PurchaseRuns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
    from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger

EVENTS = Path(__file__).parent / "events"
#: What each event comes to in its task: the result or the error.
USAGE = {"credit_balance": 120, "usage_this_month": 30.5, "breakdown": {"indexing": 30.5}}
OF_THE_SENSOR = {
    # An event of a version that knew no holds does not say what was available.
    "credits_enough": USAGE | {"held": 0, "balance": 120, "available": None},
    "credits_available": USAGE | {"held": 0, "balance": 120, "available": 110},
    "credits_timeout": AirflowSensorTimeout,
    "credits_timeout_unread": AirflowSensorTimeout,
    "credits_timeout_held": AirflowSensorTimeout,
    "error": VideoDBServerError,
}
OF_A_PURCHASE = {
    ("TopupOperator", "checkout_paid"): "completed",
    ("TopupOperator", "checkout_timeout"): VideoDBPaymentTimeoutError,
    ("TopupOperator", "error"): VideoDBServerError,
    ("TopupOperator", "response_cancel"): AirflowFailException,
    ("EnsureCreditsOperator", "ensure_credits_enough"): "pending",
    ("EnsureCreditsOperator", "ensure_credits_paid"): "completed",
    ("EnsureCreditsOperator", "ensure_credits_timeout"): VideoDBPaymentTimeoutError,
    ("EnsureCreditsOperator", "response_cancel"): AirflowFailException,
}
ARGUMENTS = {"TopupOperator": {"amount": 50}, "EnsureCreditsOperator": {"credits": 53}}
#: The fields of a purchase that differ from run to run.
OF_THE_RUN = ("key", "account", "posts", "excluded_ids", "checkout_id", "payment_url", "notified", "balance_before")


def golden(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def as_written(event: dict[str, Any]) -> dict[str, Any]:
    return event


def as_format_2_writes(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as the next format may send it: with fields that this version does not know."""
    newer = {"format": 2, "polls": 17, "triggerer": {"host": "triggerer-1"}}
    if "purchase" in event:
        newer["purchase"] = event["purchase"] | {"format": 2, "approved_by": ["a person"]}
    if "wait" in event:
        newer["wait"] = event["wait"] | {"format": 2, "asked_for": "120"}
    return event | newer


def as_format_0_wrote(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as it was before it had a format, without a field that holds nothing."""
    return {name: value for name, value in event.items() if name != "format" and value is not None}


each_format = pytest.mark.parametrize("sent", [as_format_0_wrote, as_written, as_format_2_writes])


def test_every_golden_file_is_read():
    read = OF_THE_SENSOR.keys() | {name for _, name in OF_A_PURCHASE} | {"credits_may_open", "checkout_remind"}

    assert {path.stem for path in EVENTS.glob("*.json")} == read


@pytest.mark.parametrize(("name", "end"), OF_THE_SENSOR.items(), ids=OF_THE_SENSOR)
@each_format
def test_sensor_reads_the_event(sent: Callable[[Any], Any], name: str, end: Any):
    gate = CreditThresholdSensor(task_id="gate", threshold=100)
    context: Any = {"ti": SimpleNamespace(try_number=1)}
    if isinstance(end, type):
        with pytest.raises(end):
            gate.execute_complete(context, sent(golden(name)))
    else:
        assert gate.execute_complete(context, sent(golden(name))) == end


@each_format
def test_request_for_a_reminder_is_read(sent: Callable[[Any], Any]):
    event = checked_event(sent(golden("checkout_remind")), EventStatus.REMIND, needs=("purchase",))

    assert (event["remind_at"], event["required_action"]) == (1.5, "open")
    assert Purchase.from_dict(event["purchase"]).checkout_id == "cs_1"


@needs_listed_variables
@each_format
def test_sensor_decides_after_the_event_that_it_may(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, sent: Callable[[Any], Any]
):
    channel = AirflowChannel()
    channel.install(monkeypatch)
    emulator.set_balance(120)
    gate = CreditThresholdSensor(task_id="gate", threshold=100, hold=True)
    context: Any = {"ti": a_task()}

    result = gate.execute_complete(context, sent(golden("credits_may_open")))

    assert (result["held"], channel.kinds) == (100, [Kind.HELD])


@needs_listed_variables
@pytest.mark.parametrize("name", ["credits_enough", "credits_available"])
@each_format
def test_event_of_a_trigger_without_holds_opens_no_gate_that_holds(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, sent: Callable[[Any], Any], name: str
):
    channel = AirflowChannel()
    channel.install(monkeypatch)
    gate = CreditThresholdSensor(task_id="gate", threshold=100, hold=True)
    context: Any = {"ti": a_task()}

    with pytest.raises(TaskDeferred):
        gate.execute_complete(context, sent(golden(name)))

    assert channel.kinds == [Kind.WAITING]


@pytest.mark.parametrize(("operator", "name", "end"), [(*which, end) for which, end in OF_A_PURCHASE.items()])
@each_format
@pytest.mark.usefixtures("airflow_db", "short_waits")
def test_purchase_reads_the_event(
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    sent: Callable[[Any], Any],
    operator: str,
    name: str,
    end: Any,
):
    async def run(self: CheckoutTrigger | EnsureCreditsTrigger) -> AsyncIterator[TriggerEvent]:
        event = golden(name)
        stored = self.serialize()[1]
        given, told = (stored["wait"], event["wait"]) if "wait" in event else (stored, event)
        if "purchase" in told:
            told["purchase"] |= {field: given["purchase"][field] for field in OF_THE_RUN}
        if event.get("status") == "paid":
            told["purchase"]["paid"] = [given["purchase"]["checkout_id"]]
            emulator.pay(given["purchase"]["checkout_id"])
        if event.get("status") == "enough":
            emulator.set_balance(120)
        yield TriggerEvent(sent(event))

    monkeypatch.setattr(BillingTrigger, "run", run)
    bought = PurchaseRuns(operator, **ARGUMENTS[operator]).run()

    assert len(emulator.checkouts()) == 1
    if isinstance(end, type):
        assert [type(error) for error in bought.errors] == [end]
    else:
        assert (bought.state, bought.result["status"]) == ("success", end)
