"""The sensor in the worker: what it looks at, when it goes on waiting, and how it wakes up."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import (
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)

from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBConfigError,
    VideoDBError,
    VideoDBNoConnectionError,
    VideoDBPermissionError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.conftest import API_KEY
from tests.support.dag_runs import new_dag, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USAGE = "/billing/usage"
USAGE_OF_THREE = {"credit_balance": 3, "usage_this_month": 0, "breakdown": {}}
MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable": {"deferrable": True},
}


class Store(dict[str, Any]):
    """What of the task state store the sensor uses."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def sensor(mode: str = "deferrable", **arguments: Any) -> CreditThresholdSensor:
    usual = {"task_id": "gate", "threshold": 10, "poke_interval": 0.01, "timeout": 5}
    return CreditThresholdSensor(**usual | MODES[mode] | arguments)


def context(*, try_number: int = 1, store: Store | None = None) -> Any:
    ti = SimpleNamespace(try_number=try_number, get_first_reschedule_date=lambda _: None)
    return {"ti": ti, "task_state_store": store}


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
def test_a_poke_compares_exactly_and_returns_what_it_saw(emulator, threshold, balance, enough):
    emulator.set_balance(balance)

    poked = sensor("poke", threshold=threshold).poke(context())

    assert poked.is_done == enough
    assert poked.xcom_value["credit_balance"] == float(balance)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("threshold", value) for value in (float("nan"), float("inf"), "nan", "-inf", -1, "-0.1", "lots", "", None)),
        *(("threshold", value) for value in (True, [10], 2**53, "1e400")),
        *(("max_consecutive_failures", value) for value in (0, -1, 1.5, "many", None, True)),
    ],
)
def test_a_nonsense_argument_is_refused_before_anything_is_sent(emulator, mode, argument, value):
    with pytest.raises(VideoDBConfigError, match=argument):
        sensor(mode, **{argument: value}).execute(context())

    assert emulator.calls() == []


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("threshold", value) for value in (-5, -0.1, float("nan"), True, "lots", "-5", "", Decimal(-1))),
        *(("max_consecutive_failures", value) for value in (0, -1, 1.5, True, "many")),
        *((flag, value) for flag in ("deferrable", "start_from_trigger", "end_from_trigger") for value in ("False", 1)),
        *(("poke_interval", value) for value in (-1, "soon")),
    ],
)
def test_literal_that_breaks_a_rule_fails_when_the_dag_is_parsed(argument, value):
    with pytest.raises(ValueError, match=argument):
        sensor(**{argument: value})


@pytest.mark.parametrize(
    "threshold", [0, 0.5, "100.1", " 3 ", Decimal("0.1"), "{{ params.needed }}", "{% if a %}{% endif %}"]
)
def test_literal_that_keeps_it_and_a_template_do_not(threshold):
    assert sensor(threshold=threshold).threshold == threshold


def test_every_argument_that_the_docstring_names_is_a_keyword_of_the_constructor():
    documented = set(re.findall(r":param (\w+):", CreditThresholdSensor.__doc__ or ""))
    parameters = inspect.signature(CreditThresholdSensor.__init__).parameters

    assert documented <= set(parameters)
    assert {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY} == documented


@pytest.mark.parametrize(
    ("given", "seen"),
    [({}, 60.0), ({"default_args": {"poke_interval": 7}}, 7.0), ({"poke_interval": timedelta(seconds=8)}, 8.0)],
)
def test_arguments_of_airflows_own_sensor_arrive(given, seen):
    gate = CreditThresholdSensor(task_id="gate", threshold=1, exponential_backoff=True, max_wait=9, **given)

    assert gate.poke_interval == seen
    assert (gate.timeout, gate.exponential_backoff, gate.max_wait) == (604800, True, timedelta(seconds=9))


class Subclass(CreditThresholdSensor):
    """Adds a template field as people do: it is set when the base is made."""

    template_fields = (*CreditThresholdSensor.template_fields, "note")

    def __init__(self, *, note: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.note = note


def test_subclass_that_adds_a_template_field_works(airflow_db, emulator):
    with new_dag("subclass") as dag:
        Subclass(task_id="gate", threshold=1, note="{{ 1 + 1 }}", start_from_trigger=True)
        Subclass.partial(task_id="mapped", threshold=1, start_from_trigger=True).expand(note=["a", "{{ 'b' }}"])

    assert run(dag).state == "success"


def test_deferrable_it_looks_once_and_takes_no_trigger_when_the_credits_are_there(emulator):
    assert sensor(threshold=3).execute(context()) == USAGE_OF_THREE
    assert len(emulator.calls()) == 1


def test_deferrable_it_looks_once_and_then_hands_over_to_the_trigger(emulator):
    before = time.time()
    gate = sensor(threshold="3.5", poke_interval=7, timeout=100, soft_fail=True, max_consecutive_failures=2)

    with pytest.raises(TaskDeferred) as deferred:
        gate.execute(context())

    kwargs = deferred.value.trigger.serialize()[1]
    deadline = kwargs.pop("deadline")
    assert before + 100 <= deadline <= time.time() + 100
    assert kwargs == {
        "threshold": "3.5",
        "videodb_conn_id": "videodb_default",
        "poll_interval": 7,
        "max_consecutive_failures": 2,
        "pause": None,
        "timeout": 100.0,
        "end_from_trigger": False,
        "soft_fail": True,
    }
    assert deferred.value.method_name == "execute_complete"
    # Airflow's own deadline only stands in for a triggerer that is gone.
    assert deferred.value.timeout > timedelta(seconds=100 + 7)
    assert len(emulator.calls()) == 1


def test_deferrable_a_blip_at_the_first_look_does_not_keep_it_from_waiting(emulator):
    emulator.add_fault("status", status=503)

    with pytest.raises(TaskDeferred):
        sensor().execute(context())

    assert len(emulator.calls()) == 1


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_only_failures_in_a_row_fail_the_pokes(emulator, mode):
    store = Store()
    # In reschedule mode each poke is a process of its own, which only the store outlives.
    one = sensor(mode, max_consecutive_failures=3)

    def pokes() -> Any:
        gate = one if mode == "poke" else sensor(mode, max_consecutive_failures=3)
        return gate.poke(context(store=store))

    emulator.add_fault("status", times=2, status=503)
    assert not pokes()
    assert not pokes()
    assert not pokes()
    assert emulator.calls()[-1].status == 200

    emulator.add_fault("status", times=3, status=503)
    assert not pokes()
    assert not pokes()
    with pytest.raises(VideoDBServerError, match="503"):
        pokes()


def test_a_retry_counts_failures_anew(emulator):
    emulator.add_fault("status", times=None, status=503)
    store = Store()
    assert not sensor("reschedule", max_consecutive_failures=2).poke(context(try_number=1, store=store))

    assert not sensor("reschedule", max_consecutive_failures=2).poke(context(try_number=2, store=store))


class TestAnotherAccount:
    """The connection is pointed elsewhere between two pokes."""

    @pytest.fixture
    def move(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Emulator]]:
        with Emulator(credits=3, api_key="sk-test-of-the-other-account") as other:

            def moved() -> Emulator:
                monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", other.connection_json)
                return other

            yield moved

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_is_not_silenced_by_what_the_old_one_asked_for(self, emulator, move, mode):
        emulator.add_fault("status", status=429, retry_after="3600")
        one, store = sensor(mode), Store()
        assert not one.poke(context(store=store))
        other = move()
        other.set_balance(10)

        assert one.poke(context(store=store))
        assert API_KEY not in str(store)
        assert other.api_key not in str(store)

    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_is_not_charged_with_the_failures_of_the_old_one(self, emulator, move, mode):
        emulator.add_fault("status", times=None, status=503)
        one, store = sensor(mode, max_consecutive_failures=2), Store()
        assert not one.poke(context(store=store))
        move().add_fault("status", times=1, status=503)

        assert not one.poke(context(store=store))
        assert not one.poke(context(store=store))

    def test_is_what_the_trigger_asks_at_once(self, emulator, move):
        emulator.add_fault("status", status=429, retry_after="3600")
        with pytest.raises(TaskDeferred) as deferred:
            sensor(timeout=30).execute(context())
        move().set_balance(10)

        event = asyncio.run(_first_event(deferred.value.trigger))
        assert event.payload["status"] == "enough"


async def _first_event(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    return None


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize("asked", ["3600", "0.3"])
def test_clock_that_is_set_back_prolongs_no_pause(emulator, monkeypatch, mode, asked):
    emulator.add_fault("status", status=429, retry_after=asked)
    one, store, right = sensor(mode, threshold=3), Store(), time.time
    assert not one.poke(context(store=store))
    set_back = right() - 24 * 3600
    monkeypatch.setattr(time, "time", lambda: set_back)
    assert not one.poke(context(store=store))
    monkeypatch.setattr(time, "time", lambda: set_back + float(asked))

    assert one.poke(context(store=store))


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_connection_that_cannot_be_read_for_a_moment_is_a_failed_poke(emulator, monkeypatch, mode):
    one, store = sensor(mode, max_consecutive_failures=3, threshold=5), Store()
    assert not one.poke(context(store=store))
    monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")

    assert not one.poke(context(store=store))
    assert not one.poke(context(store=store))
    with pytest.raises(VideoDBNoConnectionError):
        one.poke(context(store=store))
    with pytest.raises(VideoDBNoConnectionError):
        sensor(mode).poke(context(store=store, try_number=2))


@pytest.mark.parametrize("status", [200, 401, 403, 404, 503])
def test_page_of_a_gateway_is_a_failed_poke(emulator, monkeypatch, status):
    class GatewayError(VideoDBResponseError):
        """What the transport raises for an answer that is not VideoDB's."""

    def get_usage(_: Any) -> Any:
        raise GatewayError("Just a moment...", status=status)

    monkeypatch.setattr("airflow_provider_videodb.api.client.BillingClient.get_usage", get_usage)
    one = sensor("poke", max_consecutive_failures=2)

    assert not one.poke(context())
    with pytest.raises(GatewayError):
        one.poke(context())


def test_without_a_store_one_allowed_failure_still_fails(emulator):
    emulator.add_fault("status", status=503)

    with pytest.raises(VideoDBServerError):
        sensor("reschedule", max_consecutive_failures=1).poke(context(store=None))


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_being_limited_is_no_failure_and_the_next_call_waits_as_asked(emulator, mode):
    emulator.add_fault("status", status=429, retry_after="0.4")
    store = Store()
    one = sensor(mode, threshold=3, max_consecutive_failures=1)

    began = time.monotonic()
    while not one.poke(context(store=store)):
        assert len(emulator.calls()) == 1
        time.sleep(0.02)

    assert time.monotonic() - began >= 0.4
    assert len(emulator.calls()) == 2


@pytest.mark.parametrize(("status", "error"), [(401, VideoDBAuthenticationError), (403, VideoDBPermissionError)])
@pytest.mark.parametrize("mode", MODES)
def test_a_refused_key_fails_at_once(emulator, mode, status, error):
    emulator.add_fault("status", times=None, status=status)

    with pytest.raises(error, match=str(status)):
        sensor(mode).execute(context())

    assert len(emulator.calls()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_connection_that_does_not_exist_is_named(emulator, mode, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "videodb", "host": "http://127.0.0.1:9"}')

    with pytest.raises(VideoDBConfigError, match="'empty' has no password"):
        sensor(mode, videodb_conn_id="empty").execute(context())


@pytest.mark.parametrize("kind", ["html", "truncated", "drop_before", "drop_after", "refuse"])
def test_a_balance_that_cannot_be_read_is_never_enough(emulator, kind):
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
def test_nor_is_an_answer_that_does_not_say_it(emulator, body):
    emulator.add_fault("html", body=body)

    assert not sensor("poke", threshold=0).poke(context())


def resumed(gate: CreditThresholdSensor, event: Any) -> Any:
    return gate.resume_execution("execute_complete", {"event": event}, context())


def test_it_returns_the_usage_that_the_trigger_saw():
    assert resumed(sensor(), {"status": "enough", "usage": USAGE_OF_THREE}) == USAGE_OF_THREE


TIMEOUT = {"status": "timeout", "usage": USAGE_OF_THREE}
NEVER_SEEN = {"status": "timeout", "usage": None}
REFUSED = {"status": "error", "error": "VideoDBAuthenticationError", "message": "401: put a valid key there"}


@pytest.mark.parametrize(
    ("event", "soft_fail", "raised", "words"),
    [
        (TIMEOUT, False, AirflowSensorTimeout, r"did not reach 10 credits within .*last balance was 3 credits"),
        (NEVER_SEEN, False, AirflowSensorTimeout, r"did not reach 10 credits within [^.]*\. Next step: "),
        (TIMEOUT, True, AirflowSkipException, "soft_fail"),
        (REFUSED, False, VideoDBAuthenticationError, "401: put a valid key there"),
        (REFUSED, True, VideoDBAuthenticationError, "401: put a valid key there"),
        ({"status": "enough"}, True, KeyError, "usage"),
        ({"status": "what"}, True, VideoDBError, "no event of this package"),
        (None, True, VideoDBError, "no event of this package"),
        ("success", True, VideoDBError, "no event of this package"),
    ],
)
def test_what_a_wait_that_did_not_succeed_raises(event, soft_fail, raised, words):
    with pytest.raises(raised, match=words):
        resumed(sensor(timeout=60, soft_fail=soft_fail), event)


@pytest.mark.parametrize(
    ("arguments", "reason", "raised"),
    [
        ({}, "Trigger timeout", AirflowSensorTimeout),
        ({"soft_fail": True}, "Trigger timeout", AirflowSkipException),
        ({}, "Trigger failure", TaskDeferralError),
        ({"soft_fail": True}, "Trigger failure", TaskDeferralError),
        ({"never_fail": True}, "Trigger failure", AirflowSkipException),
    ],
)
def test_what_airflow_itself_ends_the_wait_with(arguments, reason, raised):
    with pytest.raises(raised):
        sensor(**arguments).resume_execution("__fail__", {"error": reason, "traceback": ["a line"]}, context())


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_without_a_triggerer_nothing_starts_or_ends_there(mode):
    gate = sensor(mode, start_from_trigger=True, end_from_trigger=True)

    assert not gate.start_from_trigger
    assert gate.start_trigger_args is None


def test_of_two_tasks_each_starts_its_own_trigger():
    first = sensor(task_id="first", threshold=1, start_from_trigger=True)
    second = sensor(task_id="second", threshold=2, start_from_trigger=True, timeout=7)

    assert first.start_trigger_args.trigger_kwargs["threshold"] == "1"
    assert second.start_trigger_args.trigger_kwargs["threshold"] == "2"
    assert first.start_trigger_args.timeout != second.start_trigger_args.timeout
    assert CreditThresholdSensor.start_trigger_args is None
