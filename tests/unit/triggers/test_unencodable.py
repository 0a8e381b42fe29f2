"""What would end the triggerer's process fails only the task that it belongs to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from airflow.triggers.base import TriggerEvent

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBError
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from airflow_provider_videodb.triggers.events import EventStatus, checked_event
from tests.conftest import API_KEY
from tests.support.compat import needs_start_in_triggerer
from tests.support.records import purchase_of
from tests.support.triggerer import triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

USAGE = "/billing/usage"
WAIT: dict[str, Any] = {"videodb_conn_id": "videodb_default", "poll_interval": 0.1}

NAMES = ["\ud800", "half \ud83d", "\udc00\ud800", "a\x00b", "__classname__", "__type"]


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator(credits=3, api_key=API_KEY) as running:
        monkeypatch.setenv("AIRFLOW_CONN_HEALTHY", running.connection_json)
        yield running


def gate(**arguments: Any) -> CreditThresholdTrigger:
    return CreditThresholdTrigger(**WAIT | {"threshold": 10, "deadline": time.time() + 30} | arguments)


@pytest.mark.parametrize("ends_in_trigger", [False, True])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_name_that_cannot_be_encoded_ends_no_other_wait(emulator, healthy, name, ends_in_trigger):
    body = json.dumps({"credit_balance": 100, "usage_this_month": 1, "breakdown": {name: 1}})
    emulator.add_fault("html", path=USAGE, times=None, body=body)
    async with triggerer() as airflow:
        bad, good = await airflow.start(
            gate(end_from_trigger=ends_in_trigger), gate(videodb_conn_id="healthy", end_from_trigger=ends_in_trigger)
        )
        events = await airflow.events(1)
        # The transport replaces characters in some names. The other names are an error of their task.
        if type(events[bad]) is TriggerEvent and events[bad].payload["status"] != "enough":
            with pytest.raises(VideoDBError, match="Airflow cannot encode"):
                checked_event(events[bad].payload, EventStatus.ENOUGH)

        healthy.set_balance(10)
        assert set(await airflow.events(2)) == {bad, good}
        assert not airflow.failed


ARGUMENTS: list[dict[str, Any]] = [
    *({"videodb_conn_id": value} for value in ("\ud800", "a\x00b", "", None, 5, ["videodb_default"], "x" * 100_000)),
    *({"poll_interval": value} for value in (float("nan"), float("inf"), -1, "soon", None, [1], True)),
    *({"deadline": value} for value in (float("nan"), float("inf"), "soon", [1], True)),
    *({"timeout": value} for value in (float("nan"), -1, "soon", [1])),
    *({"max_consecutive_failures": value} for value in (0, "\ud800", None, [1])),
    *({"threshold": value} for value in ("\ud800", "\x00", [1], {"a": 1}, None)),
    *({"pause": value} for value in ("\ud800", 5, {"until": 1}, {"until": "\ud800", "asked": 1, "account": "a"})),
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda arguments: ascii(arguments)[:60])
async def test_argument_ends_only_its_own_wait(emulator, healthy, arguments):
    async with triggerer() as airflow:
        (good,) = await airflow.start(gate(videodb_conn_id="healthy"))
        bad = await airflow.start_stored(*_stored(gate(), arguments | {"max_consecutive_failures": 1} | arguments))
        events = await airflow.events(1)
        with pytest.raises(VideoDBError):
            checked_event(events[bad].payload, EventStatus.ENOUGH)

        healthy.set_balance(10)
        assert set(await airflow.events(2)) == {bad, good}


async def test_usage_too_large_for_an_event_is_a_failed_poll(emulator):
    emulator.set_balance(100)
    body = json.dumps({"credit_balance": 100, "usage_this_month": 1, "breakdown": {"x" * 70_000: 1}})
    emulator.add_fault("html", path=USAGE, times=2, body=body)
    async with triggerer() as airflow:
        hasty, patient = await airflow.start(gate(max_consecutive_failures=1), gate(max_consecutive_failures=3))
        events = await airflow.events(2)

    assert events[hasty].payload["error"] == "VideoDBResponseError"
    assert events[patient].payload["status"] == "enough"


STATES: list[Any] = [
    None,
    [],
    {"purchase": 5},
    {"purchase": {"\ud800": 1}},
    {"purchase": purchase_of("cs") | {"amount": 2**70}},
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: ascii(state)[:60])
async def test_state_ends_only_its_own_wait(emulator, state):
    emulator.set_balance(100)
    async with triggerer() as airflow:
        trigger = EnsureCreditsTrigger(**WAIT, threshold=10, deadline=time.time() + 30, wait={})
        await airflow.start_stored(*_stored(trigger, {"wait": state}))
        (event,) = (await airflow.events(1)).values()

    with pytest.raises(VideoDBError):
        checked_event(event.payload, EventStatus.ENOUGH)


@pytest.mark.parametrize("purchase", [None, {}, "\ud800", purchase_of("cs_1") | {"payment_url": "http://\ud800/"}])
async def test_killed_wait_never_fails(monkeypatch, capsys, purchase):
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT", raising=False)

    await CheckoutTrigger(**WAIT, purchase=purchase).on_kill()
    with contextlib.suppress(AttributeError):
        await EnsureCreditsTrigger(**WAIT, threshold=1, wait={"purchase": purchase}).on_kill()

    capsys.readouterr().out.encode()


@needs_start_in_triggerer
async def test_template_error_is_an_error_of_the_task():
    from jinja2 import Environment

    trigger = gate(threshold="{{ nothing.at['\ud800'] }}")
    trigger.template_fields = ("threshold",)
    trigger.render_template_fields({}, Environment(autoescape=True))

    (event,) = [event async for event in trigger.run()]

    assert "UndefinedError" in event.payload["message"]
    event.payload["message"].encode()


async def test_strange_error_of_a_poll_reaches_waiters_and_log(emulator, monkeypatch, caplog):
    class Mute(Exception):  # noqa: N818 - named for what it does
        def __str__(self) -> str:
            raise VideoDBConfigError("no words")

    errors = iter([OSError(2, "no such file", "/\udcff"), SystemExit("\ud800"), Mute(), ValueError("x" * 1_000_000)])

    def get_usage(_: Any) -> Any:
        raise next(errors)

    monkeypatch.setattr("airflow_provider_videodb.api.client.BillingClient.get_usage", get_usage)
    monkeypatch.setattr("airflow_provider_videodb.triggers._accounts.LONGEST_PAUSE", 0)
    async with triggerer() as airflow:
        await airflow.start(*[gate(max_consecutive_failures=number) for number in (1, 2, 3, 4)])
        events = await airflow.events(4)
        await asyncio.sleep(0)

    messages = [event.payload["message"] for event in events.values()]
    assert {message.partition(":")[0] for message in messages} == {
        "FileNotFoundError",
        "SystemExit",
        "Mute",
        "ValueError",
    }
    assert max(map(len, messages)) < 5000
    caplog.text.encode()


def _stored(trigger: Any, changed: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    classpath, kwargs = trigger.serialize()
    return classpath, kwargs | changed
