"""The pokes of the sensor: failures, pauses, and the account that they poll."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBNoConnectionError,
    VideoDBPermissionError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.version_compat import TaskDeferred
from tests.conftest import API_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
IN_A_WORKER = pytest.mark.parametrize("mode", ["poke", "reschedule"])


class Store(dict[str, Any]):
    """The part of the task state store that the sensor uses."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def sensor(mode: str = "deferrable", **arguments: Any) -> CreditThresholdSensor:
    usual = {"task_id": "gate", "threshold": 10, "poke_interval": 0.01, "timeout": 5, "respect_holds": False}
    return CreditThresholdSensor(**usual | MODES[mode] | arguments)


def context(*, try_number: int = 1, store: Store | None = None) -> Any:
    ti = SimpleNamespace(try_number=try_number, get_first_reschedule_date=lambda _: None)
    return {"ti": ti, "task_state_store": store}


def poker(mode: str, **arguments: Any) -> Callable[..., Any]:
    """Return a function that pokes: in reschedule mode each poke is a process, which only the store outlives."""
    store, one = Store(), sensor(mode, **arguments)

    def poke(try_number: int = 1) -> Any:
        gate = one if mode == "poke" else sensor(mode, **arguments)
        return gate.poke(context(try_number=try_number, store=store))

    poke.store = store
    return poke


@pytest.mark.parametrize(
    ("threshold", "balance", "enough"),
    [
        (100.1, "100.1", True),
        ("100.1", "100.1", True),
        (" 100.1 ", "100.1", True),
        (100, "100", True),
        (100.1, "100.09", False),
        (0, "0", True),
        (999999999, "999999999", True),
        (999999999, "999999998", False),
    ],
)
def test_poke_compares_exactly_and_returns_the_usage(emulator, threshold, balance, enough):
    emulator.set_balance(balance)

    poked = sensor("poke", threshold=threshold).poke(context())

    assert poked.is_done == enough
    assert poked.xcom_value["credit_balance"] == float(balance)


@IN_A_WORKER
def test_only_failures_in_a_row_fail_the_pokes(emulator, mode):
    poke = poker(mode, max_consecutive_failures=3)
    emulator.add_fault("status", times=2, status=503)
    assert not poke()
    assert not poke()
    assert not poke()
    assert emulator.calls()[-1].status == 200

    emulator.add_fault("status", times=3, status=503)
    assert not poke()
    assert not poke()
    with pytest.raises(VideoDBServerError, match="503"):
        poke()


def test_rate_limit_does_not_fail_a_sensor_with_a_lowered_limit(emulator):
    poke = poker("reschedule", max_consecutive_failures=4)
    emulator.add_fault("status", times=3, status=503)
    for _ in range(3):
        poke()

    emulator.add_fault("status", times=1, status=429)
    lowered = sensor("reschedule", max_consecutive_failures=2)
    assert not lowered.poke(context(store=poke.store))


@IN_A_WORKER
def test_retry_counts_failures_anew(emulator, mode):
    poke = poker(mode, max_consecutive_failures=2)
    emulator.add_fault("status", times=None, status=503)

    assert not poke(try_number=1)
    assert not poke(try_number=2)


def test_without_a_store_one_allowed_failure_still_fails(emulator):
    emulator.add_fault("status", status=503)

    with pytest.raises(VideoDBServerError):
        sensor("reschedule", max_consecutive_failures=1).poke(context())


@IN_A_WORKER
def test_rate_limit_is_not_counted_as_failure(emulator, mode):
    emulator.add_fault("status", status=429, retry_after="0.4")
    poke = poker(mode, threshold=3, max_consecutive_failures=1)

    began = time.monotonic()
    while not poke():
        assert len(emulator.calls()) == 1
        time.sleep(0.02)

    assert time.monotonic() - began >= 0.4
    assert len(emulator.calls()) == 2


@IN_A_WORKER
@pytest.mark.parametrize("asked", ["3600", "0.3"])
def test_clock_set_back_prolongs_no_pause(emulator, monkeypatch, mode, asked):
    emulator.add_fault("status", status=429, retry_after=asked)
    poke, right = poker(mode, threshold=3), time.time
    assert not poke()
    set_back = right() - 24 * 3600
    monkeypatch.setattr(time, "time", lambda: set_back)
    assert not poke()
    monkeypatch.setattr(time, "time", lambda: set_back + float(asked))

    assert poke()


class TestAnotherAccount:
    """The connection names another account from the second poke on."""

    @pytest.fixture
    def move(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Emulator]]:
        with Emulator(credits=3, api_key="sk-test-of-the-other-account") as other:

            def moved() -> Emulator:
                monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", other.connection_json)
                return other

            yield moved

    @IN_A_WORKER
    def test_pause_of_the_old_account_does_not_count(self, emulator, move, mode):
        emulator.add_fault("status", status=429, retry_after="3600")
        poke = poker(mode)
        assert not poke()
        other = move()
        other.set_balance(10)

        assert poke()
        assert API_KEY not in str(poke.store)
        assert other.api_key not in str(poke.store)

    @IN_A_WORKER
    def test_failures_of_the_old_account_do_not_count(self, emulator, move, mode):
        emulator.add_fault("status", times=None, status=503)
        poke = poker(mode, max_consecutive_failures=2)
        assert not poke()
        move().add_fault("status", times=1, status=503)

        assert not poke()
        assert not poke()

    def test_trigger_polls_the_new_account_at_once(self, emulator, move):
        emulator.add_fault("status", status=429, retry_after="3600")
        with pytest.raises(TaskDeferred) as deferred:
            sensor(timeout=30).execute(context())
        move().set_balance(10)

        async def first_event() -> Any:
            return await anext(deferred.value.trigger.run())

        assert asyncio.run(first_event()).payload["status"] == "enough"


@IN_A_WORKER
def test_connection_that_was_read_before_may_be_gone_for_a_moment(emulator, monkeypatch, mode):
    poke = poker(mode, max_consecutive_failures=3, threshold=5)
    assert not poke()
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")

    assert not poke()
    assert not poke()
    with pytest.raises(VideoDBNoConnectionError):
        poke()
    with pytest.raises(VideoDBNoConnectionError):
        poke(try_number=2)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 503])
def test_page_of_a_gateway_is_counted_as_failure(emulator, monkeypatch, status):
    class GatewayError(VideoDBResponseError):
        """Stands for the error of a response that is not VideoDB's."""

    def get_usage(_: Any) -> Any:
        raise GatewayError("Just a moment...", status=status)

    monkeypatch.setattr("airflow_provider_videodb.api.client.BillingClient.get_usage", get_usage)
    one = sensor("poke", max_consecutive_failures=2)

    assert not one.poke(context())
    with pytest.raises(GatewayError):
        one.poke(context())


@pytest.mark.parametrize(("status", "error"), [(401, VideoDBAuthenticationError), (403, VideoDBPermissionError)])
@pytest.mark.parametrize("mode", MODES)
def test_refused_key_fails_at_once(emulator, mode, status, error):
    emulator.add_fault("status", times=None, status=status)

    with pytest.raises(error, match=str(status)):
        sensor(mode).execute(context())

    assert len(emulator.calls()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_connection_without_a_password_is_named(mode, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "videodb", "host": "http://127.0.0.1:9"}')

    with pytest.raises(VideoDBConfigError, match="'empty' has no password"):
        sensor(mode, videodb_conn_id="empty").execute(context())


@pytest.mark.parametrize("kind", ["html", "truncated", "drop_before", "drop_after", "refuse"])
def test_balance_that_cannot_be_read_is_never_enough(emulator, kind):
    emulator.set_balance(1000)
    emulator.add_fault(kind, times=None)

    assert not sensor("poke").poke(context())


@pytest.mark.parametrize(
    "body",
    [
        '{"success": true, "data": {}}',
        '{"credit_balance": null, "usage_this_month": 0}',
        '{"credit_balance": NaN, "usage_this_month": 0}',
        '{"success": false, "data": {"credit_balance": 1000, "usage_this_month": 0}}',
        "[]",
    ],
)
def test_response_without_a_balance_is_never_enough(emulator, body):
    emulator.add_fault("html", body=body)

    assert not sensor("poke", threshold=0).poke(context())
