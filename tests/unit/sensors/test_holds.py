"""The sensor among others that hold credits: timeouts, and what follows a trigger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBServerError
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.sensors._credit_check import CreditCheck
from airflow_provider_videodb.version_compat import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.compat import needs_listed_variables
from tests.support.sensors import sensor

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.server import Emulator

WAITING = "Waiting: 10 credits needed, 3 available (3 on the account)."


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch) -> AirflowChannel:
    channel = AirflowChannel()
    channel.install(monkeypatch)
    return channel


def context(ti: Any = None) -> Any:
    return {"ti": a_task() if ti is None else ti, "task_state_store": None}


def in_the_log(capsys: pytest.CaptureFixture[str], words: str) -> int:
    return capsys.readouterr().out.count(words)


class TestTimeout:
    @needs_listed_variables
    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_gate_leaves_the_queue_and_names_the_reason(self, emulator, airflow, mode):
        gate = sensor(mode, timeout=0)

        with pytest.raises(AirflowSensorTimeout, match=r"did not open within 0 s \(timeout\)\. Waiting: 10 credits ne"):
            gate.execute(context())

        assert airflow.kinds == []

    @needs_listed_variables
    @pytest.mark.parametrize("mode", ["poke", "reschedule"])
    def test_skipped_gate_leaves_the_queue(self, emulator, airflow, mode):
        with pytest.raises(AirflowSkipException):
            sensor(mode, timeout=0, soft_fail=True).execute(context())

        assert airflow.kinds == []

    @needs_listed_variables
    @pytest.mark.parametrize(("soft_fail", "raised"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
    def test_gate_leaves_the_queue_after_the_event_of_its_trigger(self, emulator, airflow, soft_fail, raised):
        with pytest.raises(TaskDeferred):
            sensor().execute(context())
        assert airflow.kinds == [Kind.WAITING]
        event = {"status": "timeout", "usage": None, "reason": WAITING}

        with pytest.raises(raised):
            sensor(soft_fail=soft_fail).resume_execution("execute_complete", {"event": event}, context())

        assert airflow.kinds == []

    def test_error_tells_the_next_step(self):
        event = {"status": "timeout", "usage": None, "reason": WAITING}

        with pytest.raises(AirflowSensorTimeout, match="see who holds credits with `airflow videodb holds list`"):
            sensor(hold=False).execute_complete(context(), event)

    @needs_listed_variables
    def test_queue_that_cannot_be_left_hides_no_timeout(self, emulator, airflow):
        airflow.refused = {"DeleteVariable"}

        with pytest.raises(AirflowSensorTimeout):
            sensor("poke", timeout=0).execute(context())

    def test_gate_without_a_hold_asks_nothing_at_its_end(self, emulator, airflow):
        gate = sensor("poke", timeout=0, hold=False, respect_holds=False)

        with pytest.raises(AirflowSensorTimeout, match="did not reach 10 credits"):
            gate.execute(context())

        assert airflow.asked == []


class TestMayOpen:
    """A trigger woke the gate, and a worker decides again."""

    @staticmethod
    def woken(deadline: float, reason: str | None = WAITING) -> dict[str, Any]:
        usage = {"credit_balance": 10, "usage_this_month": 0, "breakdown": {}}
        return {"status": "may_open", "usage": usage, "available": 10, "reason": reason, "deadline": deadline}

    @needs_listed_variables
    @pytest.mark.parametrize(("hold", "held"), [(True, 10), ("audit", 0)])
    def test_gate_opens_if_the_credits_are_still_there(self, emulator, airflow, hold, held):
        emulator.set_balance(10)
        ti = a_task()

        result = sensor(hold=hold).execute_complete(context(ti), self.woken(time.time() + 60))

        assert (result["held"], result["balance"], result["available"]) == (held, 10, 10)
        assert airflow.kinds == [Kind.HELD] * (held > 0)
        assert ti.pushed == [("waiting", None)]

    @needs_listed_variables
    def test_gate_waits_on_until_the_same_deadline(self, emulator, airflow, capsys):
        deadline = time.time() + 60

        with pytest.raises(TaskDeferred) as deferred:
            sensor().execute_complete(context(), self.woken(deadline))

        assert deferred.value.trigger.deadline == deadline
        assert deferred.value.trigger.gate["needs_place"] is False
        assert airflow.kinds == [Kind.WAITING]
        assert in_the_log(capsys, WAITING) == 0

    @needs_listed_variables
    def test_gate_woken_at_its_deadline_opens_if_it_can(self, emulator, airflow):
        emulator.set_balance(10)

        assert sensor().execute_complete(context(), self.woken(time.time() - 1))["held"] == 10

    @needs_listed_variables
    def test_gate_woken_at_its_deadline_times_out_with_the_reason(self, emulator, airflow):
        with pytest.raises(AirflowSensorTimeout, match=r"3 available \(3 on the account\)"):
            sensor().execute_complete(context(), self.woken(time.time() - 1, reason=None))

        assert airflow.kinds == []

    @needs_listed_variables
    def test_failed_poll_in_the_worker_waits_on(self, emulator, airflow):
        emulator.add_fault("status", status=503)

        with pytest.raises(TaskDeferred) as deferred:
            sensor().execute_complete(context(), self.woken(time.time() + 60))

        assert deferred.value.trigger.gate["needs_place"] is True
        assert Kind.HELD not in airflow.kinds


class TestEnough:
    USAGE = {"credit_balance": 12, "usage_this_month": 0, "breakdown": {}}  # noqa: RUF012 - nobody changes it

    @needs_listed_variables
    def test_reason_is_taken_back(self):
        ti = a_task()
        event = {"status": "enough", "usage": self.USAGE, "available": 11, "reason": None}

        result = sensor(hold=False).execute_complete(context(ti), event)

        assert (result["held"], result["balance"], result["available"]) == (0, 12, 11)
        assert ti.pushed == [("waiting", None)]

    def test_gate_that_ignores_holds_writes_no_reason(self):
        ti = a_task()

        sensor(hold=False, respect_holds=False).execute_complete(context(ti), {"status": "enough", "usage": self.USAGE})

        assert ti.pushed == []

    def test_gate_before_airflow_3_3_writes_no_reason(self, monkeypatch):
        gate = sensor(hold=False)
        monkeypatch.setattr("airflow_provider_videodb.sensors.credits.VARIABLES_CAN_BE_LISTED", False)
        ti = a_task()

        gate.execute_complete(context(ti), {"status": "enough", "usage": self.USAGE})

        assert ti.pushed == []


class TestFirstPoll:
    @needs_listed_variables
    def test_hold_is_taken_without_a_trigger(self, emulator, airflow):
        emulator.set_balance(15)

        result = sensor().execute(context())

        assert (result["held"], result["balance"], result["available"]) == (10, 15, 15)
        assert airflow.kinds == [Kind.HELD]

    @needs_listed_variables
    def test_gate_waits_in_the_queue(self, emulator, airflow):
        airflow.put(Kind.HELD, "5")
        emulator.set_balance(14)
        ti = a_task()

        with pytest.raises(TaskDeferred) as deferred:
            sensor(priority=3).execute(context(ti))

        gate = deferred.value.trigger.gate
        assert (gate["holds"], gate["priority"], gate["needs_place"], gate["decides_in_worker"]) == (
            True,
            3,
            False,
            True,
        )
        reason = "Waiting: 10 credits needed, 9 available (14 on the account, 5 held by 1 pipeline)."
        assert ti.pushed == [("waiting", reason)]

    @needs_listed_variables
    @pytest.mark.parametrize("hold", [False, True, "audit"])
    def test_listing_that_fails_opens_no_gate(self, emulator, airflow, hold):
        emulator.set_balance(1000)
        airflow.refused = {"GetVariableKeys"}

        with pytest.raises(TaskDeferred):
            sensor(hold=hold).execute(context())

    @needs_listed_variables
    def test_retry_begins_with_its_own_check(self, emulator):
        gate = sensor("poke")
        gate.poke(context())
        first = gate._check
        gate.poke(context())
        assert gate._check is first

        gate.poke(context(a_task(try_number=2)))
        assert gate._check is not first

    @needs_listed_variables
    def test_worker_without_a_connection_leaves_no_queue(self, emulator: Emulator, airflow, monkeypatch):
        check = CreditCheck(sensor(), context())
        check.poke()
        monkeypatch.delenv("AIRFLOW_CONN_VIDEODB_DEFAULT")

        check.leave_queue()

        assert airflow.kinds == [Kind.WAITING]


@needs_listed_variables
def test_too_many_failures_fail_a_gate_that_holds(emulator):
    emulator.add_fault("status", times=None, status=503)

    with pytest.raises(VideoDBServerError):
        sensor("poke", max_consecutive_failures=2).execute(context())
