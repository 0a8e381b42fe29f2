"""What a watch tells across failures, restarts and changes of the connection."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.triggers import _credit_watch
from airflow_provider_videodb.triggers.credit_watch import CreditWatchTrigger
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger
from tests.support.airflow_channel import AirflowChannel
from tests.support.triggerer import Triggerer, polled, triggerer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

KEY = "videodb_credit_watch__low"
WATCH: dict[str, Any] = {
    "name": "low",
    "kind": "low",
    "below": 200,
    "back_at": 220,
    "warn_hours": None,
    "videodb_conn_id": "videodb_default",
    "poll_interval": 0.05,
}


class Output:
    """What the triggerer has logged so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._capsys.readouterr().out
        return self._text


class Channel(AirflowChannel):
    """Airflow's Variables, with what a watch remembers."""

    def watched(self, key: str = KEY) -> dict[str, Any]:
        return dict(json.loads(self.kept.get(key, "{}")))


@pytest.fixture(autouse=True)
def channel(monkeypatch: pytest.MonkeyPatch) -> Channel:
    channel = Channel()
    channel.install(monkeypatch)
    return channel


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_credit_watch, "_UNTIL_STORED", 0.05)
    monkeypatch.setattr(_credit_watch, "_RETRY_AFTER", 0.05)


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Output:
    return Output(capsys)


@pytest.fixture
def other() -> Iterator[Emulator]:
    """Run another account, with 3 credits and another key."""
    with Emulator(credits=3, api_key="sk-test-of-the-other-account") as running:
        yield running


def watch(**arguments: Any) -> CreditWatchTrigger:
    return CreditWatchTrigger(**WATCH | arguments)


async def level(airflow: Triggerer, channel: Channel, wanted: str, key: str = KEY) -> None:
    """Wait until the watch remembers the level, and that its event was sent."""

    def reached() -> bool:
        return channel.watched(key).get("level") == wanted and channel.watched(key)["unsent"] is None

    await airflow.until(reached)


async def tells(airflow: Triggerer, *levels: str) -> None:
    """Check which events have come since the last time, one per trigger."""
    await airflow.until(lambda: len(airflow.happened) >= len(levels))
    assert [event.payload["level"] for event in airflow.happened.values()] == list(levels)
    airflow.happened.clear()


async def test_crossing_is_told_once_and_again_after_back(emulator, channel):
    emulator.set_balance(1000)
    async with triggerer() as airflow:
        await airflow.start(watch(), watch(name="back", kind="back"))
        await level(airflow, channel, "ok")
        emulator.set_balance(199)
        await tells(airflow, "low")
        await level(airflow, channel, "low")
        for credits in (219, 100, 219):
            emulator.set_balance(credits)
            await polled(emulator, 2)
        await airflow.waits_on()
        emulator.set_balance(220)
        await tells(airflow, "back")
        await level(airflow, channel, "ok")
        emulator.set_balance(0)
        await tells(airflow, "low")
        await level(airflow, channel, "low")
        assert not airflow.failed


async def test_restart_tells_nothing_again(emulator, channel):
    emulator.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await tells(airflow, "low")
        await level(airflow, channel, "low")
    async with triggerer() as airflow:
        await airflow.start(watch())
        await polled(emulator, 3)
        await airflow.waits_on()


async def test_event_that_airflow_may_have_missed_is_sent_again(emulator, channel, monkeypatch):
    emulator.set_balance(100)
    monkeypatch.setattr(_credit_watch, "_UNTIL_STORED", 60)
    async with triggerer() as airflow:
        await airflow.start(watch())
        first = await airflow.payload()
        assert channel.watched()["unsent"] == first
    async with triggerer() as airflow:
        await airflow.start(watch())
        assert await airflow.payload() == first


async def test_missed_event_that_is_no_longer_true_is_dropped(emulator, channel, monkeypatch):
    emulator.set_balance(100)
    monkeypatch.setattr(_credit_watch, "_UNTIL_STORED", 60)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await airflow.payload()
    emulator.set_balance(500)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await level(airflow, channel, "ok")
        await airflow.waits_on()


async def test_crossing_while_no_triggerer_ran_is_told(emulator, channel):
    emulator.set_balance(1000)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await level(airflow, channel, "ok")
    emulator.set_balance(10)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await tells(airflow, "low")


@pytest.mark.parametrize("status", [401, 403, 429, 500])
async def test_failing_videodb_is_neither_low_nor_back(emulator, channel, status):
    emulator.set_balance(1000)
    async with triggerer() as airflow:
        await airflow.start(watch(), watch(name="back", kind="back"))
        await level(airflow, channel, "ok")
        emulator.add_fault("status", path="/billing/usage", status=status, times=3, body={"credit_balance": 0})
        await polled(emulator, 4)
        await airflow.waits_on()
        emulator.set_balance(100)
        await tells(airflow, "low")
        assert not airflow.failed


async def test_missing_connection_does_not_end_the_watch(emulator, channel, monkeypatch):
    connection = emulator.connection_json
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")
    emulator.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await asyncio.sleep(0.3)
        await airflow.waits_on()
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", connection)
        await tells(airflow, "low")


async def test_memory_that_cannot_be_read_sends_nothing_and_loses_nothing(emulator, channel, output):
    emulator.set_balance(100)
    channel.failing = RuntimeError("the API server is away")
    async with triggerer() as airflow:
        await airflow.start(watch())
        await airflow.until(lambda: "currently gets no events" in output.text)
        await asyncio.sleep(0.2)
        await airflow.waits_on()
        assert output.text.count("currently gets no events") == 1
        channel.failing = None
        await tells(airflow, "low")
        assert "gets events again" in output.text


async def test_memory_that_cannot_be_written_sends_nothing_and_loses_nothing(emulator, channel):
    emulator.set_balance(1000)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await level(airflow, channel, "ok")
        channel.writing = RuntimeError("the API server is away")
        emulator.set_balance(100)
        await polled(emulator, 3)
        await airflow.waits_on()
        channel.writing = None
        await tells(airflow, "low")
        await level(airflow, channel, "low")


async def test_event_is_not_repeated_if_its_end_could_not_be_written(emulator, channel):
    emulator.set_balance(100)
    channel.on_write = lambda key, text: setattr(
        channel, "writing", RuntimeError("away") if key == KEY and json.loads(text)["unsent"] else None
    )
    async with triggerer() as airflow:
        await airflow.start(watch())
        await tells(airflow, "low")
        await polled(emulator, 3)
        assert channel.watched()["unsent"] is not None
        channel.writing = None
        await level(airflow, channel, "low")
        await airflow.waits_on()


@pytest.mark.parametrize("text", ["not JSON", "{}", "[" * 100_000], ids=["words", "empty", "deep"])
async def test_memory_that_a_person_broke_sends_nothing(emulator, channel, output, text):
    channel.kept[KEY] = text
    emulator.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await airflow.until(lambda: "currently gets no events" in output.text)
        await airflow.waits_on()
        del channel.kept[KEY]
        await tells(airflow, "low")


async def test_another_account_begins_anew(emulator, other, channel, monkeypatch):
    emulator.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(watch())
        await tells(airflow, "low")
        await level(airflow, channel, "low")
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", other.connection_json)
        await tells(airflow, "low")
        await level(airflow, channel, "low")
        other.set_balance(1000)
        await level(airflow, channel, "ok")
        await airflow.waits_on()


async def test_watches_and_waiting_gates_share_one_poll(emulator, channel):
    emulator.set_balance(1000)
    gate = CreditThresholdTrigger(
        threshold=5000,
        videodb_conn_id="videodb_default",
        poll_interval=0.05,
        gate={"holds": False} if _credit_watch.VARIABLES_CAN_BE_LISTED else None,
    )
    async with triggerer() as airflow:
        await airflow.start(gate, watch(), watch(name="lower", below=50), watch(name="back", kind="back"))
        for name in ("low", "lower", "back"):
            await level(airflow, channel, "ok", f"videodb_credit_watch__{name}")
        await polled(emulator, 2)
        assert airflow.polls == 1


@pytest.mark.parametrize(
    "arguments", [{"below": "lots"}, {"kind": "high"}, {"poll_interval": float("nan")}, {"videodb_conn_id": ""}]
)
async def test_argument_of_another_version_does_not_end_the_watch(emulator, output, arguments):
    async with triggerer() as airflow:
        await airflow.start(watch(**arguments))
        await airflow.until(lambda: "currently gets no events" in output.text)
        await asyncio.sleep(0.2)
        await airflow.waits_on()
        assert not airflow.failed
        assert airflow.runner.triggers


async def test_log_and_memory_keep_the_key(emulator, channel, output):
    emulator.set_balance(100)
    async with triggerer() as airflow:
        await airflow.start(watch())
        event = await airflow.payload()
        await level(airflow, channel, "low")
    assert emulator.api_key not in f"{event}{channel.kept}{output.text}"
