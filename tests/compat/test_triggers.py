"""
Trigger arguments that a released version stored, run by this one.

Each file of ``triggers`` is what the database keeps of one waiting task. A file is never changed, because tasks wait
while somebody upgrades or downgrades.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from tests.support.airflow_channel import AirflowChannel
from tests.support.compat import TaskInstanceDTO, needs_listed_variables
from tests.support.records import purchase_of
from tests.support.triggerer import polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator

pytestmark = pytest.mark.anyio

TRIGGERS = Path(__file__).parent / "triggers"
CHECKOUTS = "/billing/checkouts"
PAID = {"id": "cs_1", "amount": 50, "currency": "usd", "status": "completed", "created_at": "2026-01-15T12:00:01Z"}
#: The arguments of a wait that later formats of this package added, or may leave out.
OPTIONAL = (
    "format",
    "timeout",
    "max_consecutive_failures",
    "pause",
    "remind_at",
    "end_from_trigger",
    "soft_fail",
    "required_action",
    "remind_at",
)
#: What each stored trigger comes to when the balance is 120 credits and the checkout cs_1 is paid.
ENDS = {
    "credits": "enough",
    "credits_paused": "enough",
    "credits_started_in_triggerer": "enough",
    "credits_overdue": "timeout",
    "credits_holding": "may_open",
    "credits_holding_without_place": "may_open",
    "credits_auditing": "may_open",
    "credits_respecting": "enough",
    "checkout": "paid",
    "checkout_overdue": "timeout",
    "checkout_reminding": "paid",
    "checkout_in_required_actions": "paid",
    "ensure_credits_filled": "enough",
    "ensure_credits_paid": "paid",
    "ensure_credits_without_purchase": "enough",
}
#: Those that list what others hold.
SEES_HOLDS = {"credits_holding", "credits_holding_without_place", "credits_auditing", "credits_respecting"}


TASK = TaskInstanceDTO(
    id=UUID(int=1),
    dag_version_id=UUID(int=2),
    dag_id="dag",
    run_id="run",
    task_id="gate",
    map_index=-1,
    try_number=1,
    pool_slots=1,
    queue="default",
    priority_weight=1,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def airflow_channel(monkeypatch: pytest.MonkeyPatch) -> AirflowChannel:
    """Let triggers ask an Airflow where nobody holds credits."""
    channel = AirflowChannel()
    channel.install(monkeypatch)
    return channel


@pytest.fixture(autouse=True)
def polls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not spread the first polls over ten seconds."""
    monkeypatch.setattr("airflow_provider_videodb.triggers._poll.SPREAD", 0)


def as_written(kwargs: dict[str, Any]) -> dict[str, Any]:
    return kwargs


def as_format_2_writes(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as the next format may store them: with some that this version does not know."""
    newer = {"format": 2, "jitter": 0.5, "region": None}
    if "purchase" in kwargs:
        newer["purchase"] = kwargs["purchase"] | {"format": 2, "approved_by": ["a person"]}
    if "wait" in kwargs:
        newer["wait"] = kwargs["wait"] | {"format": 2, "asked_for": "120"}
    if "gate" in kwargs:
        newer["gate"] = kwargs["gate"] | {"format": 2, "deadline": None}
    return kwargs | newer


def as_format_0_wrote(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as they were before they had a format or an optional argument."""
    return {name: value for name, value in kwargs.items() if name not in OPTIONAL}


each_format = pytest.mark.parametrize("stored", [as_format_0_wrote, as_written, as_format_2_writes])


def test_every_golden_file_is_run():
    assert {path.stem for path in TRIGGERS.glob("*.json")} == ENDS.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_listed_variables) if name in SEES_HOLDS else name for name in ENDS]
)
@each_format
async def test_stored_trigger_goes_on_to_its_event(
    emulator: Emulator, airflow_channel: AirflowChannel, stored: Callable[[Any], Any], name: str
) -> None:
    golden = json.loads((TRIGGERS / f"{name}.json").read_text())
    emulator.set_balance(120)
    emulator.add_fault("html", path=CHECKOUTS, times=None, body=json.dumps({"success": True, "data": [PAID]}))
    async with triggerer() as airflow:
        await airflow.start_stored(golden["classpath"], stored(golden["kwargs"]), ti=TASK)
        (event,) = (await airflow.events(1)).values()

    if golden["kwargs"].get("end_from_trigger") and stored is not as_format_0_wrote:
        assert event.xcoms["return_value"]["credit_balance"] == 120
    else:
        assert (event.payload["format"], event.payload["status"]) == (1, ENDS[name])


@pytest.mark.parametrize(
    "name",
    [
        "checkout",
        "checkout_in_required_actions",
        "credits_holding",
        "credits_auditing",
        "credits_respecting",
        "credits",
        "ensure_credits_paid",
    ],
)
async def test_this_version_stores_the_golden_arguments(name: str) -> None:
    golden = json.loads((TRIGGERS / f"{name}.json").read_text())
    module, _, cls = golden["classpath"].rpartition(".")

    trigger = getattr(__import__(module, fromlist=[cls]), cls)(**golden["kwargs"])

    added = trigger.serialize()[1].keys() - golden["kwargs"].keys()
    assert trigger.serialize() == (golden["classpath"], golden["kwargs"] | dict.fromkeys(added))
    # What this version adds to the arguments of an older one changes nothing.
    assert added <= {"gate"}


@pytest.mark.parametrize("restarted", [as_format_0_wrote, as_format_2_writes], ids=["downgrade", "upgrade"])
async def test_pending_payment_survives_a_change_of_version(emulator: Emulator, restarted: Callable[[Any], Any]):
    BillingClient(emulator.api_key, base_url=emulator.base_url).topup(50)
    (checkout,) = emulator.checkouts()
    classpath, kwargs = CheckoutTrigger(
        purchase=purchase_of(checkout.id), videodb_conn_id="videodb_default", poll_interval=0.1, deadline=4102444800.0
    ).serialize()
    async with triggerer() as airflow:
        first = await airflow.start_stored(classpath, kwargs)
        await polled(emulator, 2, path=CHECKOUTS)
        await airflow.waits_on()
        # The triggerer of the other version takes over.
        await airflow.cancel(first)
        await airflow.idle()
        await airflow.start_stored(classpath, restarted(kwargs))
        await polled(emulator, 2, path=CHECKOUTS)
        await airflow.waits_on()

        await asyncio.to_thread(emulator.pay, checkout.id)
        told = await airflow.payload()

    assert told["status"] == "paid"
    assert told["purchase"]["paid"] == [checkout.id]
