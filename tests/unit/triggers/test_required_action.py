"""A trigger reads the response of a person, and closes a request that nobody needs."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_provider_videodb.triggers import _required_action
from airflow_provider_videodb.triggers._required_action import ActionState, first_event
from tests.unit.triggers.poll_results import checkout_trigger

pytestmark = pytest.mark.anyio

TI = UUID(int=1)
PAID = {"status": "paid"}
JANE = SimpleNamespace(id="7", name="Jane")
NOW = datetime(2026, 11, 26, 7, tzinfo=UTC)
UNANSWERED = SimpleNamespace(response_received=False, chosen_options=None, responded_by_user=None, responded_at=None)
CANCELLED = SimpleNamespace(response_received=True, chosen_options=["Cancel"], responded_by_user=JANE, responded_at=NOW)


class Airflow:
    """Answers with the given details, one after the other; the last one stays."""

    def __init__(self) -> None:
        self.details: list[Any] = [UNANSWERED]
        self.asked: list[Any] = []

    def ask(self, message: Any) -> Any:
        self.asked.append(message)
        detail = self.details.pop(0) if len(self.details) > 1 else self.details[0]
        if isinstance(detail, Exception):
            raise detail
        return detail


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    stand_in = Airflow()
    channel = SimpleNamespace(send=stand_in.ask, start_reader=None)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", channel, raising=False)
    monkeypatch.setattr(_required_action, "_SHORTEST_INTERVAL", 0.01)
    return stand_in


async def never() -> Any:
    await asyncio.Event().wait()


async def paid_after(asked: list[Any], times: int) -> Any:
    while len(asked) < times:  # noqa: ASYNC110 - a thread asks, which sets no asyncio.Event
        await asyncio.sleep(0.005)
    return PAID


async def event(wait: Any, state: str = ActionState.OPEN) -> Any:
    async with asyncio.timeout(10):
        return await first_event(wait, ti_id=TI, state=state, interval=0.01)


@pytest.mark.parametrize("resumes", [True, False], ids=["3.3", "3.1"])
async def test_response_before_the_deferral_ends_the_wait(airflow, monkeypatch, resumes):
    monkeypatch.setattr(_required_action, "RESPONSES_RESUME_TASKS", resumes)
    airflow.details = [CANCELLED]

    told = await event(never())

    assert told == {
        "chosen_options": ["Cancel"],
        "responded_by_user": {"id": "7", "name": "Jane"},
        # A response that came after the time of an approval does not count.
        "responded_at": NOW.isoformat(),
    }
    assert airflow.asked[0].ti_id == TI


async def test_older_airflow_is_asked_until_somebody_responds(airflow, monkeypatch):
    monkeypatch.setattr(_required_action, "RESPONSES_RESUME_TASKS", False)
    airflow.details = [UNANSWERED, RuntimeError("away"), UNANSWERED, CANCELLED]

    assert (await event(never()))["chosen_options"] == ["Cancel"]
    assert len(airflow.asked) == 4


async def test_older_airflow_is_asked_no_more_often_than_it_asks_itself(airflow, monkeypatch):
    monkeypatch.setattr(_required_action, "RESPONSES_RESUME_TASKS", False)
    monkeypatch.setattr(_required_action, "_SHORTEST_INTERVAL", 60)
    airflow.details = [UNANSWERED, CANCELLED]

    async def wait() -> Any:
        await asyncio.sleep(0.2)
        return PAID

    assert await event(wait()) == PAID
    assert len(airflow.asked) == 1


async def test_airflow_that_resumes_tasks_is_asked_once(airflow, monkeypatch):
    monkeypatch.setattr(_required_action, "RESPONSES_RESUME_TASKS", True)

    async def wait() -> Any:
        await asyncio.sleep(0.2)
        return PAID

    assert await event(wait()) == PAID
    assert len(airflow.asked) == 1


async def test_payment_ends_the_wait_for_a_response(airflow, monkeypatch):
    monkeypatch.setattr(_required_action, "RESPONSES_RESUME_TASKS", False)

    before = asyncio.all_tasks()

    assert await event(paid_after(airflow.asked, 3)) == PAID
    assert asyncio.all_tasks() == before


async def test_airflow_that_does_not_respond_delays_no_payment(airflow, monkeypatch):
    airflow.details = [RuntimeError("away")]

    assert await event(paid_after(airflow.asked, 1)) == PAID


async def test_payment_beats_a_response_of_the_same_moment(airflow, monkeypatch):
    async def at_once(*_: Any, **__: Any) -> Any:
        return {"chosen_options": ["Cancel"]}

    async def wait() -> Any:
        return PAID

    monkeypatch.setattr(_required_action, "_attend", at_once)

    assert await event(wait()) == PAID


async def test_error_of_the_wait_is_raised(airflow):
    async def wait() -> Any:
        raise ValueError("what happened")

    with pytest.raises(ValueError, match="what happened"):
        await event(wait())


async def test_request_that_is_over_is_closed(airflow):
    assert await event(paid_after(airflow.asked, 1), ActionState.OVER) == PAID

    [closed] = airflow.asked
    assert (closed.ti_id, closed.chosen_options) == (TI, ["Nothing left to do"])


async def test_request_that_cannot_be_closed_delays_nothing(airflow, caplog):
    airflow.details = [RuntimeError("404")]

    async def wait() -> Any:
        while "Airflow closed no request" not in caplog.text:  # noqa: ASYNC110 - a log sets no asyncio.Event
            await asyncio.sleep(0.005)
        return PAID

    with caplog.at_level(logging.DEBUG):
        assert await event(wait(), ActionState.OVER) == PAID


async def test_state_of_a_newer_version_is_ignored(airflow):
    async def wait() -> Any:
        await asyncio.sleep(0.05)
        return PAID

    assert await event(wait(), "announced") == PAID
    assert airflow.asked == []


async def test_cancelled_wait_leaves_nothing_behind(airflow, monkeypatch):
    monkeypatch.setattr(_required_action, "RESPONSES_RESUME_TASKS", False)
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(event(never()))
    await paid_after(airflow.asked, 1)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert asyncio.all_tasks() == before


class OlderChannel:
    """A channel that only the event loop can use, and that mixes up the response of a cancelled request."""

    def __init__(self, response: Any = None) -> None:
        self.response = response
        self.sent = asyncio.Event()
        self.responds = asyncio.Event()
        self.cancelled = False
        self.ended = asyncio.Event()

    async def asend(self, message: Any) -> Any:
        self.sent.set()
        try:
            await self.responds.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.ended.set()
        if self.response is None:
            raise RuntimeError("404")
        return self.response


async def test_response_is_read_over_the_channel_of_an_older_airflow(monkeypatch):
    channel = OlderChannel(CANCELLED)
    channel.responds.set()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", channel, raising=False)

    assert (await event(never()))["chosen_options"] == ["Cancel"]
    assert not _required_action._requests


async def test_request_before_airflow_33_is_never_cancelled(monkeypatch):
    channel = OlderChannel()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", channel, raising=False)

    async def wait() -> Any:
        await channel.sent.wait()
        return PAID

    assert await event(wait()) == PAID
    # The event loop alone would not keep it alive.
    [request] = _required_action._requests
    channel.responds.set()
    await channel.ended.wait()
    assert not channel.cancelled
    await asyncio.wait({request})
    # asyncio logs an exception that nobody has retrieved.
    assert not request._log_traceback
    assert not _required_action._requests


def test_trigger_stores_the_state_only_if_it_has_one():
    assert "required_action" not in checkout_trigger().serialize()[1]
    assert checkout_trigger(required_action="open").serialize()[1]["required_action"] == "open"
