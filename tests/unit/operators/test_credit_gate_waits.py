"""What a gate tells its trigger, and how it leaves the queue."""

from __future__ import annotations

import logging
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.api.models import Usage
from airflow_provider_videodb.exceptions import VideoDBServerError
from airflow_provider_videodb.holds.rules.records import Kind, try_of
from airflow_provider_videodb.operators import _credit_gate as credit_gate
from airflow_provider_videodb.operators._credit_gate import GateCheck, TaskGate
from airflow_provider_videodb.triggers._gates import WaitingGate
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


class TestQueue:
    @needs_listed_variables
    def test_gate_takes_a_place_with_its_priority(self, airflow):
        Gate(True).check("10")

        (flag,) = airflow.flags
        assert (flag.kind, flag.priority, flag.account) == (Kind.WAITING, 4, "shared")

    @needs_listed_variables
    def test_place_is_left(self, airflow):
        airflow.put(Kind.WAITING, "20", account="shared")
        gate = Gate(True)
        gate.check("10")

        gate.task_gate.leave(SETTINGS)

        assert len(airflow.kinds) == 1

    @needs_listed_variables
    def test_leaving_reads_no_balance(self):
        with pytest.raises(RuntimeError, match="reads no balance"):
            Gate(True).task_gate._gate(SETTINGS, credit_gate._no_usage).look()

    def test_gate_without_a_hold_has_no_place_to_leave(self, airflow):
        Gate(False).task_gate.leave(SETTINGS)

        assert airflow.asked == []

    @needs_listed_variables
    def test_queue_that_cannot_be_left_is_no_error(self, airflow):
        gate = Gate(True)
        gate.check("10")
        airflow.refused = {"DeleteVariable"}

        gate.task_gate.leave(SETTINGS)

        assert airflow.kinds == [Kind.WAITING]


class TestLook:
    """The gate assesses its account once more, without holding anything."""

    def test_look_holds_nothing_and_says_nothing(self, airflow, caplog):
        gate = Gate(True)

        assert gate.task_gate.look(SETTINGS, lambda: usage("60")).is_open
        assert (airflow.kinds, lines(caplog), gate.ti.pushed) == ([], [], [])

    @needs_listed_variables
    @pytest.mark.parametrize(("respect_holds", "is_open"), [(True, False), (False, True)])
    def test_look_sees_what_the_gate_respects(self, airflow, respect_holds, is_open):
        airflow.put(Kind.HELD, "20", account="shared")
        gate = Gate(False, respect_holds=respect_holds)

        assert gate.task_gate.look(SETTINGS, lambda: usage("60")).is_open is is_open


class TestForTrigger:
    @needs_listed_variables
    @pytest.mark.parametrize(
        ("hold", "holds", "decides"), [(True, True, True), ("audit", False, True), (False, False, False)]
    )
    def test_trigger_knows_how_to_assess(self, hold, holds, decides):
        gate = Gate(hold)
        gate.check("10")

        assert (
            gate.task_gate.for_trigger()
            == WaitingGate(
                holds=holds,
                holder=gate.task_gate._gate(SETTINGS, lambda: usage("0")).claim.holder,
                try_id=try_of(gate.ti.id),
                priority=4,
                decides_in_worker=decides,
            ).to_dict()
        )

    @needs_listed_variables
    @pytest.mark.parametrize(("balances", "needs_place"), [([], True), (["10"], False), (["10", "down"], True)])
    def test_trigger_takes_a_place_that_is_not_certain(self, balances, needs_place):
        def read(balance: str) -> Usage:
            if balance == "down":
                raise VideoDBServerError("down")
            return usage(balance)

        gate = Gate(True)
        for balance in balances:
            try:
                gate.task_gate.check(SETTINGS, lambda balance=balance: read(balance))
            except VideoDBServerError:
                continue

        waiting = gate.task_gate.for_trigger()
        assert waiting is not None
        assert waiting["needs_place"] is needs_place

    def test_trigger_of_an_audit_ignores_holds_as_its_task_does(self):
        # So a listing that fails cannot end its wait.
        assert Gate("audit", respect_holds=False).task_gate.for_trigger() is None
