"""What a task decides in a worker: whether its gate opens, what it holds, and what it says."""

from __future__ import annotations

import logging
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.models import Usage
from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError, VideoDBServerError
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.operators import _credit_gate as credit_gate
from airflow_provider_videodb.operators._credit_gate import GateCheck, TaskGate
from tests.support.airflow_channel import AirflowChannel, a_task
from tests.support.compat import needs_listed_variables
from tests.unit.triggers.poll_results import SETTINGS

if TYPE_CHECKING:
    from airflow_provider_videodb.hooks.arguments import HoldMode

LOG = logging.getLogger("gate")


@pytest.fixture(autouse=True)
def airflow(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> AirflowChannel:
    channel = AirflowChannel()
    channel.install(monkeypatch)
    monkeypatch.setattr("airflow_provider_videodb.holds.gate._LONGEST_PAUSE", 0)
    caplog.set_level("INFO", logger="gate")
    return channel


class Gate:
    """One try of a gate that needs 50 credits."""

    def __init__(
        self,
        hold: HoldMode = False,
        *,
        respect_holds: bool = True,
        ti: Any = None,
        behind: frozenset[str] = frozenset(),
    ) -> None:
        self.ti = a_task() if ti is None else ti
        task: Any = SimpleNamespace(
            is_setup=False,
            hold=hold,
            respect_holds=respect_holds,
            priority=4,
            log=LOG,
            get_flat_relative_ids=lambda upstream: set(behind),
        )
        self.task_gate = TaskGate(task, {"ti": self.ti}, Decimal(50))

    def check(self, balance: str = "60") -> GateCheck:
        return self.task_gate.check(SETTINGS, lambda: usage(balance))

    @property
    def result(self) -> dict[str, Any]:
        return self.check().to_dict()


def usage(balance: str) -> Usage:
    return Usage(credit_balance=Decimal(balance), usage_this_month=Decimal(0), breakdown={})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "gate"]


@needs_listed_variables
@pytest.mark.parametrize(("hold", "held"), [(True, 50), (False, 0), ("audit", 0)])
def test_result_says_what_is_held_and_available(airflow, hold, held):
    airflow.put(Kind.HELD, "5", account="shared")

    assert Gate(hold).result == {"held": held, "balance": 60, "available": 55}


@needs_listed_variables
@pytest.mark.parametrize(
    ("gate", "is_open"),
    [
        (Gate(True), False),
        (Gate(False), False),
        (Gate("audit"), False),
        (Gate("audit", respect_holds=False), True),
        (Gate(False, respect_holds=False), True),
    ],
    ids=["holds", "respects", "audits", "audits and ignores", "ignores"],
)
def test_what_others_hold_is_not_there(airflow, gate, is_open):
    airflow.put(Kind.HELD, "20", account="shared")

    assert gate.check("60").is_open is is_open
    assert gate.check("70").is_open


def test_gate_that_ignores_holds_asks_nothing(airflow):
    gate = Gate(False, respect_holds=False)

    assert gate.result == {"held": 0, "balance": 60, "available": 60}
    assert gate.task_gate.for_trigger() is None
    assert airflow.asked == []


def test_reserve_is_kept_even_by_a_gate_that_ignores_holds():
    task_gate = Gate(False, respect_holds=False).task_gate
    settings: Any = SimpleNamespace(credit_reserve=Decimal(11))

    checked = task_gate.check(settings, lambda: usage("60"))

    assert (checked.is_open, checked.to_dict()["available"]) == (False, 49)


def test_gate_before_airflow_3_3_ignores_holds(airflow, monkeypatch):
    monkeypatch.setattr(credit_gate, "VARIABLES_CAN_BE_LISTED", False)

    assert Gate(False).check().is_open
    assert airflow.asked == []


@needs_listed_variables
def test_hold_is_told_once_and_leaves_the_queue(airflow, caplog):
    gate = Gate(True)

    assert gate.check().is_open

    assert airflow.kinds == [Kind.HELD]
    assert lines(caplog) == ["This task holds 50 credits until they are released."]
    assert gate.ti.pushed == []


@needs_listed_variables
@pytest.mark.parametrize("failing", ["VideoDB", "Airflow"])
def test_unknown_is_an_error_and_holds_nothing(airflow, failing):
    def get_usage() -> Usage:
        raise VideoDBServerError("down")

    gate = Gate(True)
    airflow.refused = {"GetVariableKeys"} if failing == "Airflow" else set()

    with pytest.raises(VideoDBRecordUnreadableError if failing == "Airflow" else VideoDBServerError):
        gate.task_gate.check(SETTINGS, get_usage)

    assert Kind.HELD not in airflow.kinds


class TestReport:
    @needs_listed_variables
    def test_reason_is_told_once_per_change(self, airflow, caplog):
        gate = Gate(True)
        for balance in ("10", "10", "20"):
            gate.check(balance)

        told = [
            "Waiting: 50 credits needed, 10 available (10 on the account).",
            "Waiting: 50 credits needed, 20 available (20 on the account).",
        ]
        assert lines(caplog) == told
        assert gate.ti.pushed == [("waiting", text) for text in told]
        assert gate.task_gate.reason == told[-1]

    @needs_listed_variables
    def test_reason_is_taken_back_when_the_gate_opens(self):
        gate = Gate(True)
        gate.check("10")
        gate.check("60")

        assert gate.ti.pushed[-1] == ("waiting", None)
        assert gate.task_gate.reason is None

    @needs_listed_variables
    def test_reason_of_a_trigger_is_taken_back_when_the_gate_opens(self):
        gate = Gate(True)
        gate.task_gate.resume(None)
        gate.check("60")

        assert gate.ti.pushed == [("waiting", None)]

    def test_reason_of_a_trigger_is_not_told_again(self, caplog):
        gate = Gate(True)
        gate.task_gate.resume("Waiting: 50 credits needed, 10 available (10 on the account).")
        gate.check("10")

        assert (lines(caplog), gate.ti.pushed) == ([], [])

    @needs_listed_variables
    @pytest.mark.parametrize("hold", [False, "audit"])
    def test_gate_without_a_hold_speaks_only_of_holds(self, airflow, hold):
        gate = Gate(hold)
        gate.check("10")
        assert gate.ti.pushed == []

        airflow.put(Kind.HELD, "20", account="shared")
        gate.check("60")
        assert gate.ti.pushed == [
            ("waiting", "Waiting: 50 credits needed, 40 available (60 on the account, 20 held by 1 pipeline).")
        ]

    @needs_listed_variables
    def test_pause_is_told_by_a_gate_without_a_hold(self, airflow):
        airflow.put(Kind.PAUSED, "0", account="shared", ms=0)
        gate = Gate(False)

        assert not gate.check("60").is_open
        assert gate.task_gate.reason is not None
        assert "paused until somebody resumes it" in gate.task_gate.reason

    def test_failing_xcom_ends_no_wait(self, caplog):
        ti = a_task()
        ti.xcom_push = lambda key, value: 1 / 0
        gate = Gate(True, ti=ti)

        assert not gate.check("10").is_open
        assert gate.check("60").is_open


class TestAudit:
    @needs_listed_variables
    def test_log_says_what_a_hold_would_do(self, airflow, caplog):
        gate = Gate("audit")
        gate.check("60")
        gate.check("60")
        airflow.put(Kind.WAITING, "20", account="shared", priority=5)

        assert gate.check("60").is_open
        assert lines(caplog) == [
            "Audit: with hold=True this gate would open now and hold 50 credits.",
            "Audit: with hold=True this gate would wait now, and lack 10 credits.",
            "Waiting: 50 credits needed, 40 available (60 on the account, 20 promised to",
            "1 ahead). Place 2 of 2.",
        ]

    def test_audit_leaves_no_flag(self, airflow):
        Gate("audit").check("60")
        Gate("audit").check("10")

        assert airflow.kept == {}

    @needs_listed_variables
    @pytest.mark.parametrize("failing", ["GetVariableKeys", "DeleteVariable"])
    @pytest.mark.parametrize(("balance", "is_open"), [("60", True), ("10", False)])
    def test_audit_that_airflow_fails_changes_nothing(self, airflow, caplog, failing, balance, is_open):
        airflow.put(Kind.RELEASED, "5", account="shared")
        airflow.refused.add(failing)

        assert Gate("audit", respect_holds=False).check(balance).is_open is is_open
        told = "Audit: what a hold would do is unknown." in lines(caplog)
        assert told is (failing == "GetVariableKeys" or not is_open)


@needs_listed_variables
@pytest.mark.parametrize(("state", "is_released"), [("success", True), ("running", False)])
def test_hold_of_an_earlier_try_is_judged_by_the_jobs_behind_the_gate(airflow, state, is_released):
    assert Gate(True, ti=a_task(try_number=1)).check("60").is_open
    airflow.task_states = {"job": state}

    Gate(True, ti=a_task(try_number=2), behind=frozenset({"job"})).check("60")

    assert (Kind.RELEASED in airflow.kinds) == is_released
