"""EnsureCreditsOperator holds credits, and buys what others leave too little of."""

from __future__ import annotations

import json
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBCreditsMissingError, VideoDBLimitExceededError
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.hold_flags import drop_flag, flag_of_another, flags_in_database, put_flag, raise_flag
from tests.support.purchases import TASK, TOPUP, USAGE, Point, PurchaseRuns, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.dag_runs import Run
    from tests.support.purchases import Person

pytestmark = needs_listed_variables

ensuring = partial(PurchaseRuns, "EnsureCreditsOperator", settle_timeout=5, credits=12)
holding = partial(ensuring, hold=True)
each_mode = pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "holding a worker"])
LONG_AGO = 1


def dollars(emulator: Emulator) -> list[int]:
    return [json.loads(call.body)["amount"] for call in emulator.calls("POST", TOPUP, accepted=True)]


def held() -> list[float]:
    return [float(flag.credits) for flag in flags_in_database() if flag.kind is Kind.HELD]


def gates_in_a_row(**gates: dict[str, Any]) -> Run:
    """Run gates one after the other, whether or not the one before succeeds."""
    usual: dict[str, Any] = {"poll_interval": 0.05, "payment_timeout": 60, "settle_timeout": 5, "hold": True}
    with new_dag("in_a_row") as dag:
        before = None
        for task_id, arguments in gates.items():
            gate = EnsureCreditsOperator(task_id=task_id, trigger_rule="all_done", **usual | arguments)
            if before is not None:
                before >> gate
            before = gate
    return run(dag)


@each_mode
def test_second_gate_buys_what_the_first_leaves_too_little_of(
    person: Person, emulator: Emulator, *, deferrable: bool
) -> None:
    from airflow.sdk import BaseNotifier

    class Tell(BaseNotifier):
        def notify(self, context: Any) -> None:
            told.append(context["task"].payment.credits_missing)

    told: list[float] = []
    emulator.set_balance(15)
    gate = {"credits": 12, "deferrable": deferrable, "notifiers": [Tell()]}
    finished = gates_in_a_row(first=gate, second=gate)

    first, second = finished.result("first"), finished.result("second")
    assert [first[key] for key in ("status", "held", "balance", "available")] == ["not_needed", 12, 15, 15]
    assert [second[key] for key in ("status", "held", "balance", "available")] == ["completed", 12, 24, 12]
    assert (dollars(emulator), told) == ([9], [9])
    assert held() == [12, 12]
    assert finished.result("second", "waiting") is None


@pytest.mark.parametrize("sizes", [(12, 5, 3), (3, 12, 5), (5, 3, 7)], ids=str)
def test_gates_never_hold_more_than_the_balance(person: Person, emulator: Emulator, sizes: tuple[int, ...]) -> None:
    emulator.set_balance(15)
    rest = {"topup": False, "payment_timeout": 0.3}
    finished = gates_in_a_row(**{f"gate{place}": rest | {"credits": size} for place, size in enumerate(sizes)})

    left, opened = 15, []
    for place, size in enumerate(sizes):
        opened.append(size <= left)
        left -= size if size <= left else 0
        assert (finished.task_state(f"gate{place}") == "success") is opened[-1]
    assert sorted(held()) == sorted(size for size, is_open in zip(sizes, opened, strict=True) if is_open)


@pytest.mark.parametrize("hold", [True, False])
@each_mode
def test_nothing_is_bought_while_the_account_is_paused(
    person: Person, emulator: Emulator, *, hold: bool, deferrable: bool
) -> None:
    pause = put_flag(flag_of_another(Kind.PAUSED, 0, ms=0))
    bought_before: list[int] = []

    def resume() -> None:
        bought_before.extend(dollars(emulator))
        drop_flag(pause)

    person.while_waiting = in_turn(resume, person.pays)
    bought = ensuring(hold=hold, deferrable=deferrable).run()

    assert bought_before == []
    assert (bought.result["status"], bought.result["held"]) == ("completed", 12 if hold else 0)
    assert dollars(emulator) == [9]


def test_purchase_after_a_wait_keeps_the_limits(person: Person, emulator: Emulator) -> None:
    pause = put_flag(flag_of_another(Kind.PAUSED, 0, ms=0))
    person.while_waiting = in_turn(lambda: drop_flag(pause))
    bought = holding(max_amount=8, retries=2).run()

    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, VideoDBLimitExceededError)
    assert dollars(emulator) == []
    assert flags_in_database() == []


def test_pause_does_not_hide_a_link_from_a_retry(person: Person, emulator: Emulator) -> None:
    purchasing = holding(payment_timeout=0.5, retries=1)
    person.while_waiting = in_turn(lambda: put_flag(flag_of_another(Kind.PAUSED, 0, ms=0)))
    bought = purchasing.run()

    assert (bought.state, bought.tries) == ("failed", 2)
    assert bought.run.result(TASK, "_link_CheckoutLink") == person.links[0]
    assert dollars(emulator) == [9]


@pytest.mark.parametrize(("hold", "held_by_another", "bought"), [(True, 0, []), (True, 5, [2]), (False, 5, [2])])
def test_nothing_is_bought_for_a_pipeline_that_has_ended_while_it_waited(
    person: Person, emulator: Emulator, *, hold: bool, held_by_another: int, bought: list[int]
) -> None:
    emulator.set_balance(15)
    if held_by_another:
        put_flag(flag_of_another(Kind.HELD, held_by_another, ms=LONG_AGO))
    raise_flag(Kind.WAITING, "10", run_id="deleted", ms=LONG_AGO)
    result = ensuring(hold=hold).run().result

    assert dollars(emulator) == bought
    assert result["status"] == ("completed" if bought else "not_needed")


def test_gate_buys_beside_what_is_promised_to_those_ahead(person: Person, emulator: Emulator) -> None:
    emulator.set_balance(15)
    put_flag(flag_of_another(Kind.WAITING, 10, ms=LONG_AGO))
    bought = holding().run()

    assert (bought.result["status"], bought.result["held"], bought.result["balance"]) == ("completed", 12, 22)
    assert dollars(emulator) == [7]


def test_gate_opens_once_those_ahead_have_left(
    person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.set_balance(15)
    ahead = put_flag(flag_of_another(Kind.WAITING, 10, ms=LONG_AGO))
    person.while_waiting = in_turn(lambda: drop_flag(ahead))
    bought = holding(topup=False).run()

    assert (bought.result["status"], bought.result["held"]) == ("filled", 12)
    assert "Waiting: 12 credits needed, 5 available (15 on the account," in capsys.readouterr().out
    assert bought.run.result(TASK, "waiting") is None


def test_gates_that_raise_their_flags_at_once_buy_nothing_yet(
    person: Person, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see the flag of the other one and take down their own."""
    emulator.set_balance(15)
    monkeypatch.setattr("airflow_provider_videodb.holds.gate._TRIES", 1)
    rival = flag_of_another(Kind.HELD, 12)
    met = Point("holds.store.VariableStore", "write", nth=2, after=True).does(lambda: put_flag(rival), monkeypatch)
    person.while_waiting = in_turn(lambda: drop_flag(rival))
    bought = holding().run()

    assert met == [True]
    assert (bought.result["status"], bought.result["held"]) == ("filled", 12)
    assert dollars(emulator) == []


def test_higher_priority_goes_first(person: Person, emulator: Emulator) -> None:
    emulator.set_balance(15)
    put_flag(flag_of_another(Kind.WAITING, 10, ms=LONG_AGO))

    assert holding(priority=5).run().result["status"] == "not_needed"


class TestWithoutHold:
    def test_gate_leaves_alone_what_others_hold(self, person: Person, emulator: Emulator) -> None:
        emulator.set_balance(15)
        put_flag(flag_of_another(Kind.HELD, 12))
        bought = ensuring().run()

        assert [bought.result[key] for key in ("held", "balance", "available")] == [0, 24, 12]
        assert dollars(emulator) == [9]

    def test_gate_that_ignores_holds_opens_on_the_balance(self, person: Person, emulator: Emulator) -> None:
        emulator.set_balance(15)
        put_flag(flag_of_another(Kind.HELD, 12))
        bought = ensuring(respect_holds=False).run()

        assert [bought.result[key] for key in ("status", "held", "available")] == ["not_needed", 0, 15]

    def test_audit_says_that_a_hold_would_open(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        emulator.set_balance(15)
        bought = ensuring(hold="audit").run()

        assert (bought.result["status"], bought.result["held"]) == ("not_needed", 0)
        assert flags_in_database() == []
        assert "Audit: with hold=True this gate would open now and hold 12 credits." in capsys.readouterr().out

    def test_audit_opens_and_says_that_a_hold_would_wait(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        emulator.set_balance(15)
        put_flag(flag_of_another(Kind.WAITING, 10, ms=LONG_AGO))
        bought = ensuring(hold="audit").run()

        assert bought.result["status"] == "not_needed"
        assert "Audit: with hold=True this gate would wait now, and lack 7 credits." in capsys.readouterr().out

    def test_audit_of_a_gate_that_ignores_holds_opens_on_the_balance(
        self, person: Person, emulator: Emulator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        emulator.set_balance(15)
        put_flag(flag_of_another(Kind.HELD, 12))
        bought = ensuring(hold="audit", respect_holds=False).run()

        assert bought.result["status"] == "not_needed"
        assert "Audit: with hold=True this gate would wait now, and lack 9 credits." in capsys.readouterr().out

    @pytest.mark.parametrize("respect_holds", [True, False])
    def test_reserve_is_bought_beside(
        self, person: Person, emulator: Emulator, connect: Callable[..., None], *, respect_holds: bool
    ) -> None:
        connect(credit_reserve=5)
        emulator.set_balance(15)
        bought = ensuring(respect_holds=respect_holds).run()

        assert (bought.result["balance"], bought.result["available"]) == (17, 12)
        assert dollars(emulator) == [2]


class TestPaidGateOthersKeepClosed:
    @each_mode
    def test_wait_outlasts_settle_timeout(self, person: Person, emulator: Emulator, *, deferrable: bool) -> None:
        """Others hold more than before when the payment comes, and release it later."""
        emulator.set_balance(15)
        put_flag(flag_of_another(Kind.HELD, 12))
        more = flag_of_another(Kind.HELD, 9, holder="third.-1")

        def pays_too_late() -> None:
            put_flag(more)
            person.pays()

        def released_later() -> None:
            so_far = len(emulator.calls(path=USAGE))
            later = Thread(target=lambda: (emulator.wait_for_calls(so_far + 10, path=USAGE), drop_flag(more)))
            later.start()

        person.while_waiting = in_turn(pays_too_late, released_later)
        # Ten polls take longer than this.
        bought = holding(deferrable=deferrable, settle_timeout=0.1).run()

        assert bought.errors == []
        assert (bought.result["status"], bought.result["held"]) == ("completed", 12)
        assert dollars(emulator) == [9]

    def test_failure_names_who_keeps_it_closed(self, person: Person, emulator: Emulator) -> None:
        emulator.set_balance(15)
        put_flag(flag_of_another(Kind.HELD, 12))
        more = flag_of_another(Kind.HELD, 9, holder="third.-1")

        def pays_too_late() -> None:
            put_flag(more)
            person.pays()

        person.while_waiting = in_turn(pays_too_late)
        purchasing = holding(payment_timeout=2, settle_timeout=0.1)
        bought = purchasing.run()

        [error] = bought.errors
        assert isinstance(error, VideoDBCreditsMissingError)
        assert "(24 on the account, 21 held by 2 pipelines)" in str(error)
        assert "9 USD are paid, and a retry buys nothing more" in str(error)
        assert "airflow videodb holds list" in str(error)
        assert bought.run.result(TASK, "waiting") in str(error)
        assert [flag.kind for flag in flags_in_database()] == [Kind.HELD, Kind.HELD]

        drop_flag(more)
        assert purchasing.clear(bought).result["status"] == "completed"
        assert dollars(emulator) == [9]
