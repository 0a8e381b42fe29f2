"""Gates that hold credits, in whole DAG runs."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import task

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.claiming import Claim, enqueue
from airflow_provider_videodb.holds.rules.records import NOBODY, Flag, Kind, task_part
from airflow_provider_videodb.holds.rules.releasing import release_gate
from airflow_provider_videodb.holds.rules.steps import Remove
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.integration.test_gates import MODES, meanwhile
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import add_flag, flags_in_database, notes_in_database, remove_flags

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.usefixtures("airflow_db"), needs_listed_variables]

#: A gate that holds credits ends in a worker.
HOLDING_MODES: dict[str, dict[str, Any]] = {
    "poke": MODES["poke"],
    "reschedule": MODES["reschedule"],
    "deferrable": MODES["deferrable"],
    "starts_in_trigger": {"deferrable": True, "start_from_trigger": True},
}
ALL_MODES = HOLDING_MODES | MODES
IN_EACH_MODE = pytest.mark.parametrize("mode", HOLDING_MODES)
ACCOUNT = "videodb_default"


def gate(task_id: str, credits: float, mode: str = "poke", **arguments: Any) -> CreditThresholdSensor:
    usual: dict[str, Any] = {"hold": True, "poke_interval": 0.1, "timeout": 0.5}
    return CreditThresholdSensor(task_id=task_id, threshold=credits, **usual | ALL_MODES[mode] | arguments)


def held() -> list[tuple[Kind, float]]:
    return [(flag.kind, float(flag.credits)) for flag in flags_in_database()]


@task
def release(gate_id: str, **context: Any) -> None:
    """Release what a gate holds. Its spending shows at once."""
    ti = context["ti"]
    ledger = Ledger(ACCOUNT)
    holders = task_part(ti.dag_id, ti.run_id, gate_id)
    released = ledger.run(release_gate(ledger.view(), holders, settlement_ms=lambda _: 0, why="the test"))
    assert len(released.holds) == 1
    for flag in ledger.view().flags:
        if flag.kind is Kind.RELEASED:
            ledger.do(Remove(flag))


@task
def queue_up(credits: int, **context: Any) -> None:
    """Take a place in the queue for a task that has not begun."""
    ti = context["ti"]
    who = Identity(dag_id=ti.dag_id, run_id=ti.run_id, task_id="later", map_index=-1, try_number=1, settlement_ms=0)
    claim = Claim(
        account=ACCOUNT,
        holder=who.holder,
        try_id="0123456789ab",
        credits=Decimal(credits),
        priority=0,
        reserve=Decimal(0),
        settlement_ms=0,
    )
    Ledger(ACCOUNT, me=who).run(enqueue(claim))


@IN_EACH_MODE
def test_second_gate_cannot_use_the_same_credits(emulator, mode):
    emulator.set_balance(15)
    raised: list[BaseException] = []
    with new_dag(f"two_{mode}") as dag:
        gate("first", 12, mode) >> gate(
            "second", 12, mode, timeout=3, on_failure_callback=lambda context: raised.append(context["exception"])
        )

    finished = run(dag)

    assert finished.task_state("first") == "success"
    assert finished.result("first") == {
        "credit_balance": 15,
        "usage_this_month": 0,
        "breakdown": {},
        "held": 12,
        "balance": 15,
        "available": 15,
    }
    assert finished.task_state("second") == "failed"
    reason = "Waiting: 12 credits needed, 3 available (15 on the account, 12 held by 1 pipeline)."
    assert [type(error).__name__ for error in raised] == ["AirflowSensorTimeout"]
    assert f"The gate did not open within 3 s (timeout). {reason} Next step" in str(raised[0])
    assert finished.result("second", "waiting") == reason
    assert held() == [(Kind.HELD, 12)]


@IN_EACH_MODE
def test_second_gate_opens_after_the_first_has_released(emulator, mode):
    emulator.set_balance(15)
    with new_dag(f"in_turn_{mode}") as dag:
        gate("first", 12, mode) >> release("first") >> gate("second", 12, mode)

    finished = run(dag)

    assert finished.state == "success"
    assert finished.result("second")["available"] == 15
    assert (Kind.HELD, 12) in held()
    assert [note["released_by"] for note in notes_in_database()] == ["the test"]


@IN_EACH_MODE
def test_waiting_gate_opens_when_credits_are_released(emulator, mode):
    emulator.set_balance(15)
    with new_dag(f"waits_{mode}") as dag:
        gate("first", 12, mode) >> gate("second", 12, mode, timeout=60)

    def release_while_the_second_waits() -> None:
        ends = time.monotonic() + 60
        # A gate that is just opening has both flags.
        while len({flag.holder for flag in flags_in_database()}) < 2:
            assert time.monotonic() < ends
            time.sleep(0.05)
        remove_flags(Kind.HELD)

    with meanwhile(release_while_the_second_waits):
        finished = run(dag)

    assert finished.state == "success"
    assert finished.result("second")["held"] == 12
    assert finished.result("second", "waiting") is None
    assert held() == [(Kind.HELD, 12)]


@pytest.mark.parametrize("mode", MODES)
def test_gate_without_a_hold_leaves_alone_what_others_hold(emulator, mode):
    emulator.set_balance(15)
    with new_dag(f"respects_{mode}") as dag:
        gate("first", 12) >> gate("second", 4, mode, hold=False)
        gate("third", 3, mode, hold=False) << dag.get_task("first")

    finished = run(dag)

    assert finished.task_state("second") == "failed"
    assert finished.task_state("third") == "success"
    assert held() == [(Kind.HELD, 12)]


@pytest.mark.parametrize("mode", MODES)
def test_gate_may_ignore_what_others_hold(emulator, mode):
    emulator.set_balance(15)
    with new_dag(f"ignores_{mode}") as dag:
        gate("first", 12) >> gate("second", 15, mode, hold=False, respect_holds=False)

    assert run(dag).state == "success"


@IN_EACH_MODE
def test_audit_opens_and_tells_what_a_hold_would_do(emulator, mode, capsys):
    emulator.set_balance(30)
    with new_dag(f"audits_{mode}") as dag:
        gate("first", 12) >> queue_up(10) >> gate("second", 12, mode, hold="audit")

    finished = run(dag)

    assert finished.result("second")["held"] == 0
    said = capsys.readouterr().out
    assert "Audit: with hold=True this gate would wait now, and lack 4 credits." in said
    assert "Waiting: 12 credits needed, 8 available" in said.replace("\n", " ")
    assert [kind for kind, _ in held()].count(Kind.HELD) == 1


@IN_EACH_MODE
@pytest.mark.parametrize(("priority", "state"), [(0, "failed"), (1, "success")])
def test_gate_with_a_higher_priority_goes_first(emulator, mode, priority, state):
    emulator.set_balance(15)
    with new_dag(f"priority_{mode}") as dag:
        queue_up(10) >> gate("gate", 12, mode, priority=priority) >> gate("later", 1, mode)

    assert run(dag).task_state("gate") == state


@pytest.mark.parametrize("hold", [True, False, "audit"])
@IN_EACH_MODE
def test_pause_keeps_each_gate_closed(emulator, mode, hold):
    emulator.set_balance(15)
    add_flag(Flag(account=ACCOUNT, holder=NOBODY, try_id="0", kind=Kind.PAUSED, credits=Decimal(0), ms=0))
    with new_dag(f"paused_{mode}") as dag:
        gate("gate", 12, mode, hold=hold)

    finished = run(dag)

    assert finished.task_state("gate") == "failed"
    assert "paused until somebody resumes it" in finished.result("gate", "waiting")


@pytest.mark.parametrize("hold", [True, False])
def test_reserve_is_left_alone(emulator, connect, hold):
    emulator.set_balance(15)
    connect(credit_reserve=5)
    with new_dag("reserve") as dag:
        gate("too_much", 10.5, hold=hold)
        gate("enough", 10, hold=hold)

    finished = run(dag)

    assert (finished.task_state("too_much"), finished.task_state("enough")) == ("failed", "success")
    assert finished.result("enough")["available"] == 10


@pytest.mark.parametrize(("second_account", "state"), [("shared", "failed"), ("another", "success")])
def test_connections_of_one_account_share_their_holds(emulator, connect, monkeypatch, second_account, state):
    emulator.set_balance(15)
    connect(credit_account="shared")
    second = emulator.connection | {"extra": {"credit_account": second_account}}
    monkeypatch.setenv("AIRFLOW_CONN_SECOND", json.dumps(second))
    with new_dag("connections") as dag:
        gate("first", 12) >> gate("second", 12, "deferrable", videodb_conn_id="second")

    assert run(dag).task_state("second") == state


@IN_EACH_MODE
def test_hold_of_a_run_that_ended_is_released(emulator, connect: Callable[..., None], mode):
    emulator.set_balance(15)
    connect(settlement_minutes=0)
    with new_dag("forgets_to_release") as first:
        gate("gate", 12)
    run(first)
    assert held() == [(Kind.HELD, 12)]
    with new_dag(f"collects_{mode}") as second:
        gate("gate", 12, mode, timeout=60)

    assert run(second).state == "success"

    assert (Kind.HELD, 12) in held()
    assert [note["released_by"] for note in notes_in_database()] == ["the end of the DAG run"]


def test_credits_of_a_run_that_ended_count_until_they_have_settled(emulator):
    emulator.set_balance(15)
    with new_dag("forgets_to_release") as first:
        gate("gate", 12)
    run(first)
    with new_dag("collects") as second:
        gate("gate", 12)

    finished = run(second)

    assert finished.task_state("gate") == "failed"
    assert held() == [(Kind.RELEASED, 12)]
    assert "12 held by 1 pipeline, of which 1 is settling" in finished.result("gate", "waiting")
