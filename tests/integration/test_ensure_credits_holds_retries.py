"""An EnsureCreditsOperator that holds credits survives failures of Airflow and of itself."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCreditsMissingError,
    VideoDBPaymentTimeoutError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun
from tests.support.compat import needs_listed_variables
from tests.support.hold_flags import drop_flag, flag_of_another, flags_in_database, put_flag
from tests.support.purchases import TOPUP, Died, Point, PurchaseRuns, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Person

pytestmark = needs_listed_variables

holding = partial(PurchaseRuns, "EnsureCreditsOperator", settle_timeout=5, credits=12, hold=True)
LISTING = Point("holds.store.VariableStore", "list")
UNLISTED = VideoDBRecordUnreadableError("Airflow could not list its Variables. Next step: check Airflow.")
#: The moments at which a try with enough credits can die, by the writes of its gate.
STEPS = {
    "before the place": Point("holds.store.VariableStore", "write"),
    "after the place": Point("holds.store.VariableStore", "write", after=True),
    "before the flag": Point("holds.store.VariableStore", "write", nth=2),
    "after the flag": Point("holds.store.VariableStore", "write", nth=2, after=True),
    "after the place is left": Point("holds.store.VariableStore", "delete", after=True),
    "before the result": Point("operators._ensure_credits_run.EnsureCreditsRun", "_finish"),
    "after the result": Point("operators._ensure_credits_run.EnsureCreditsRun", "_finish", after=True),
}


@pytest.fixture
def settles_quickly(connect: Callable[..., None]) -> None:
    """Let released credits count for 0.6 seconds."""
    connect(settlement_minutes=0.01)


def dollars(emulator: Emulator) -> list[int]:
    return [json.loads(call.body)["amount"] for call in emulator.calls("POST", TOPUP, accepted=True)]


def held() -> list[float]:
    return [float(flag.credits) for flag in flags_in_database() if flag.kind is Kind.HELD]


@pytest.mark.usefixtures("settles_quickly")
@pytest.mark.parametrize("step", STEPS)
def test_next_try_holds_once_and_buys_nothing(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    emulator.set_balance(15)
    died = STEPS[step].breaks(Died(step), monkeypatch)
    bought = holding(retries=1).run()

    assert died == [True]
    assert (bought.state, bought.tries, bought.result["held"]) == ("success", 2, 12)
    assert held() == [12]
    assert dollars(emulator) == []


@pytest.mark.parametrize("hold", [True, "audit", False])
def test_unlisted_holds_keep_the_gate_closed(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, *, hold: Any
) -> None:
    emulator.set_balance(1000)

    def unlisted(*_: object) -> None:
        raise UNLISTED

    monkeypatch.setattr("airflow_provider_videodb.holds.store.VariableStore.list", unlisted)
    bought = holding(hold=hold).run()

    assert bought.state == "failed"
    assert isinstance(bought.errors[-1], VideoDBRecordUnreadableError)
    assert dollars(emulator) == []


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_listing_that_fails_once_holds_nothing_in_this_try(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    emulator.set_balance(15)
    failed = Point(LISTING.owner, LISTING.method, nth=nth).breaks(UNLISTED, monkeypatch)
    purchasing = holding()
    bought = purchasing.run()

    assert (failed, bought.state) == ([True], "failed")
    assert flags_in_database() == []

    assert purchasing.clear(bought).result["held"] == 12


def test_listing_that_fails_while_paying_is_not_a_second_purchase(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.set_balance(15)
    put_flag(flag_of_another(Kind.HELD, 12))
    failed: list[list[bool]] = []

    def pays_unlisted() -> None:
        person.pays()
        failed.append(LISTING.breaks(UNLISTED, monkeypatch))

    person.while_waiting = in_turn(pays_unlisted)
    bought = holding(retries=1).run()

    assert failed == [[True]]
    assert (bought.result["status"], bought.result["held"]) == ("completed", 12)
    assert dollars(emulator) == [9]


def test_final_failure_leaves_the_queue(person: Person, emulator: Emulator) -> None:
    person.while_waiting = lambda: None
    bought = holding(payment_timeout=0.3).run()

    assert isinstance(bought.errors[-1], VideoDBPaymentTimeoutError)
    assert flags_in_database() == []


def test_retry_keeps_its_place_in_the_queue(person: Person, emulator: Emulator) -> None:
    places: list[set[int]] = []
    person.while_waiting = lambda: places.append({flag.ms for flag in flags_in_database()})
    bought = holding(topup=False, payment_timeout=0.3, retries=1).run()

    assert [type(error) for error in bought.errors] == [VideoDBCreditsMissingError] * 2
    assert len(places) == 2
    assert places[0] == places[1]
    assert flags_in_database() == []


def test_failure_after_the_flag_holds_nothing(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.set_balance(15)
    STEPS["before the result"].breaks(RuntimeError("broken"), monkeypatch)

    assert holding().run().state == "failed"
    assert flags_in_database() == []


def test_clear_of_a_gate_that_holds_buys_no_second_set(
    person: Person, emulator: Emulator, connect: Callable[..., None]
) -> None:
    connect(settlement_minutes=0.01)
    emulator.set_balance(15)
    purchasing = holding()
    again = purchasing.clear(purchasing.run())

    assert (again.state, again.result["status"], again.result["held"]) == ("success", "filled", 12)
    assert held() == [12]
    assert dollars(emulator) == []


def test_broken_template_does_not_hide_a_payment(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator

    def breaks(self: EnsureCreditsOperator) -> None:
        raise AssertionError("A task that has bought needs none of these arguments.")

    def pays() -> None:
        monkeypatch.setattr(EnsureCreditsOperator, "_request", breaks)
        person.pays()

    person.while_waiting = in_turn(pays)

    assert holding().run().result["status"] == "completed"


def test_account_that_is_used_up_while_waiting_is_bought_for(person: Person, emulator: Emulator) -> None:
    """The task waits in the queue without a purchase, and those ahead take what it needs."""
    emulator.set_balance(30)
    ahead = put_flag(flag_of_another(Kind.WAITING, 20, ms=1))
    pause = put_flag(flag_of_another(Kind.PAUSED, 0, ms=0))

    def those_ahead_open() -> None:
        put_flag(flag_of_another(Kind.HELD, 20))
        drop_flag(ahead)
        drop_flag(pause)

    person.while_waiting = in_turn(those_ahead_open, person.pays)
    bought = holding().run()

    assert [bought.result[key] for key in ("status", "held", "balance", "available")] == ["completed", 12, 32, 12]
    assert dollars(emulator) == [2]


def test_try_that_is_over_leaves_the_place_alone(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer try may be waiting there."""

    def over(*_: object) -> None:
        raise VideoDBTryOverError("A newer try has begun.")

    monkeypatch.setattr(EnsureCreditsRun, "after_trigger", over)
    bought = holding(topup=False, payment_timeout=0.3).run()

    assert bought.state == "failed"
    assert [flag.kind for flag in flags_in_database()] == [Kind.WAITING]
