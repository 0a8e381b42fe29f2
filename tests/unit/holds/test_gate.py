"""One try of a gate: what it asks, what it says, and how it treats the hold of an earlier try."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb.api.models import Usage
from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError, VideoDBServerError
from airflow_provider_videodb.holds import gate as module
from airflow_provider_videodb.holds.gate import CreditGate, is_earlier_try_unused
from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.holds import SETTLEMENT, ModelStore, Task, World, flag, text_of

A, B = Task(dag_id="a", run_id="ra"), Task(dag_id="b", run_id="rb")


@dataclass
class Gates:
    """
    Makes gates of one account.

    :param balances: what VideoDB shows, one for each read; the last one stays.
    """

    kept: dict[str, str]
    balances: list[int | Exception] = field(default_factory=lambda: [100])

    def gate(self, task: Task, credits: int, *, store: ModelStore | None = None, **options: Any) -> CreditGate:
        usual: dict[str, Any] = {"account": "shared", "reserve": Decimal(0), "settlement_ms": SETTLEMENT}
        store = ModelStore(self.kept) if store is None else store
        return CreditGate(ti=task, credits=Decimal(credits), get_usage=self._usage, store=store, **usual | options)

    def _usage(self) -> Usage:
        balance = self.balances.pop(0) if len(self.balances) > 1 else self.balances[0]
        if isinstance(balance, Exception):
            raise balance
        return Usage(credit_balance=Decimal(balance), usage_this_month=Decimal(0), breakdown={})


@pytest.fixture
def gates(world: World, monkeypatch: pytest.MonkeyPatch) -> Gates:
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0)
    return Gates(world.kept)


def held(world: World) -> list[str]:
    return [name for name in world.shown() if name.startswith("h")]


class TestHold:
    def test_open_gate_holds_its_credits(self, gates: Gates, world: World) -> None:
        admission = gates.gate(A, 75).hold()

        assert (admission.is_open, admission.is_held, admission.first) == (True, True, None)
        assert admission.to_dict() == {"held": 75, "balance": 100, "available": 100}
        assert world.shown() == ["h 75"]

    def test_closed_gate_says_who_is_next(self, gates: Gates, world: World) -> None:
        gates.gate(A, 120).hold()

        admission = gates.gate(B, 200).hold()

        assert (admission.is_open, admission.is_held) == (False, False)
        assert admission.to_dict() == {"held": 0, "balance": 100, "available": 100}
        assert str(admission.first) == "DAG a, run ra, task gate"
        assert admission.reason == (
            "Waiting: 200 credits needed, -20 available (100 on the account, 120 promised to 1 ahead). Place 2 of 2. "
            "Next in line: DAG a, run ra, task gate."
        )

    def test_gate_that_is_next_itself_names_nobody(self, gates: Gates) -> None:
        admission = gates.gate(A, 120).hold()

        assert admission.first is None
        assert admission.reason == "Waiting: 120 credits needed, 100 available (100 on the account)."

    def test_account_with_an_odd_name_is_an_account(self, gates: Gates, world: World) -> None:
        assert gates.gate(A, 75, account="team/\u03b1").hold().is_held
        assert not gates.gate(B, 75, account="team/\u03b1").hold().is_held
        assert gates.gate(B, 75).hold().is_held

    @pytest.mark.parametrize(("others", "opens"), [(1, True), (2, True), (3, False)])
    def test_gate_tries_three_times_against_others(self, gates: Gates, world: World, others: int, opens: bool) -> None:
        """Another gate has raised its flag at the same time, and takes it down again."""
        store = ModelStore(world.kept)
        rival = flag(Kind.HELD, B, 90)
        seen = itertools.count(1)

        def interfere(what: str, key: str, do: Any) -> Any:
            result = ModelStore._call(store, what, key, do)
            if what == "write" and "/h/" in key and next(seen) <= others:
                world.put(rival, text_of(B))
            elif what == "delete":
                world.kept.pop(rival.key, None)
            return result

        store._call = interfere  # type: ignore[method-assign]

        assert gates.gate(A, 75, store=store).hold().is_held is opens
        assert held(world) == ["h 75"] * opens

    def test_gate_does_not_wait_behind_those_who_have_left(self, gates: Gates, world: World) -> None:
        gates.gate(A, 120, priority=1).hold()
        world.airflow.ended.add("ra")

        admission = gates.gate(B, 100).hold()

        assert (admission.is_held, admission.missing, world.shown()) == (True, 0, ["h 100"])

    def test_nobody_knows_what_is_missing_while_many_leave(self, gates: Gates, world: World) -> None:
        for number in range(31):
            gates.gate(Task(dag_id="a", run_id=f"ra{number}"), 120).hold()
        world.airflow.ended |= {f"ra{number}" for number in range(31)}

        admission = gates.gate(B, 130).hold()

        assert (admission.is_open, admission.missing, world.shown()) == (False, 0, ["w 120", "w 130"])
        assert gates.gate(B, 130).hold().missing == 30

    def test_gate_does_not_try_again_without_contention(self, gates: Gates, world: World) -> None:
        store = ModelStore(world.kept)

        assert not gates.gate(A, 120, store=store).hold().is_held

        assert [what for what, _ in store.calls].count("list") == 2

    @pytest.mark.parametrize("nth", [0, 1])
    def test_balance_that_cannot_be_read_opens_nothing(self, gates: Gates, world: World, nth: int) -> None:
        gates.balances = [100] * nth + [VideoDBServerError("VideoDB is down."), 100]

        with pytest.raises(VideoDBServerError):
            gates.gate(A, 75).hold()

        assert world.shown() == ["w 75"]
        assert gates.gate(A.next_try(), 75).hold().is_held

    def test_listing_that_fails_opens_nothing(self, gates: Gates, world: World) -> None:
        store = ModelStore(world.kept)
        store.raise_at(1, VideoDBRecordUnreadableError("no"))

        with pytest.raises(VideoDBRecordUnreadableError):
            gates.gate(A, 75, store=store).hold()

        assert world.kept == {}


class TestLook:
    def test_gate_without_a_hold_leaves_alone_what_others_hold(self, gates: Gates, world: World) -> None:
        gates.gate(A, 75).hold()

        assert gates.gate(B, 25).look().is_open
        admission = gates.gate(B, 26).look()

        assert (admission.is_open, admission.is_held) == (False, False)
        assert admission.to_dict() == {"held": 0, "balance": 100, "available": 25}
        assert world.shown() == ["h 75"]

    def test_gate_without_a_hold_passes_those_who_wait(self, gates: Gates) -> None:
        gates.gate(A, 120).hold()

        assert gates.gate(B, 100).look().is_open

    def test_gate_that_looks_collects(self, gates: Gates, world: World) -> None:
        gates.gate(A, 75).hold()
        world.airflow.ended.add("ra")

        assert not gates.gate(B, 100).look().is_open
        assert world.shown() == ["r 75"]

    def test_nothing_is_missing_because_of_those_who_have_left(self, gates: Gates, world: World) -> None:
        gates.gate(A, 120).hold()
        world.airflow.ended.add("ra")

        looked = gates.gate(B, 110).look()

        assert (looked.is_open, looked.missing, world.shown()) == (False, 10, [])

    def test_reserve_is_left_alone(self, gates: Gates) -> None:
        assert not gates.gate(A, 75, reserve=Decimal(26)).look().is_open
        assert gates.gate(A, 75, reserve=Decimal(25)).look().is_open


class TestLeave:
    def test_gate_that_gives_up_leaves_the_queue(self, gates: Gates, world: World) -> None:
        gates.gate(A, 120).hold()
        gates.gate(B, 130).hold()

        gates.gate(A.next_try(), 120).leave()

        assert world.shown() == ["w 130"]

    def test_gate_that_leaves_leaves_earlier_holds(self, gates: Gates, world: World) -> None:
        gates.gate(A, 75).hold()

        gates.gate(A.next_try(), 75).leave()

        assert world.shown() == ["h 75"]


def test_priority_decides_who_is_next(gates: Gates, world: World) -> None:
    gates.balances = [0]
    gates.gate(A, 80).hold()
    gates.gate(B, 80, priority=1).hold()
    gates.balances = [100]

    assert not gates.gate(A, 80).hold().is_open
    assert gates.gate(B, 80, priority=1).hold().is_open


def test_admission_needs_a_balance_that_was_read(gates: Gates) -> None:
    gate = gates.gate(A, 80)

    with pytest.raises(RuntimeError, match="The balance was not read"):
        gate._admission(gate.claim.assess(gate._ledger.view(), Decimal(1)), is_open=True)


class TestEarlierTry:
    @pytest.mark.parametrize("is_setup", [True, False])
    @pytest.mark.parametrize(
        ("states", "of_setup", "of_gate"),
        [
            ([], True, True),
            ([None, None], True, True),
            (["success", "failed", "skipped", "upstream_failed", "removed"], True, True),
            # A task that has not begun waits for a setup, and for a gate only if it comes right after it.
            (["success", None], True, False),
            # Cleared while it ran: it begins again after the gate.
            (["up_for_retry", None], True, True),
            (["success", "up_for_retry"], True, False),
            (["running", None], False, False),
            (["success", "running"], False, False),
            (["restarting"], False, False),
            (["queued"], False, False),
            (["scheduled"], False, False),
            (["deferred"], False, False),
            (["up_for_reschedule"], False, False),
            (["a state of a newer Airflow"], False, False),
        ],
    )
    def test_hold_is_unused_if_no_job_can_run_on_it(
        self, states: list[str | None], of_setup: bool, of_gate: bool, is_setup: bool
    ) -> None:
        assert is_earlier_try_unused(states, is_setup=is_setup) is (of_setup if is_setup else of_gate)

    @pytest.mark.parametrize(
        ("states", "shown"),
        [
            # The gate was cleared alone while a sibling runs.
            ({"upload": "success", "index": "running"}, ["h 30", "w 90"]),
            # The gate was cleared after everything had ended.
            ({"upload": "success", "index": "failed"}, ["r 30", "w 90"]),
            # The gate failed before it let anything begin.
            ({"upload": None, "index": None}, ["r 30", "w 90"]),
        ],
    )
    def test_cleared_gate_asks_for_its_jobs(
        self, gates: Gates, world: World, states: dict[str, str | None], shown: list[str]
    ) -> None:
        gates.gate(A, 30).hold()
        world.airflow.states["ra"] = states

        gates.gate(A.next_try(), 90, downstream=frozenset({"upload", "index"})).hold()

        assert world.shown() == shown

    def test_hold_stays_if_airflow_does_not_say(self, gates: Gates, world: World) -> None:
        gates.gate(A, 30).hold()
        world.airflow.fault = RuntimeError("gone")

        gates.gate(A.next_try(), 90, downstream=frozenset({"upload"})).hold()

        assert world.shown() == ["h 30", "w 90"]

    def test_gate_with_nothing_behind_it_asks_nobody(self, gates: Gates, world: World) -> None:
        gates.gate(A, 30).hold()
        world.airflow.fault = RuntimeError("gone")

        gates.gate(A.next_try(), 90).hold()

        assert world.shown() == ["r 30", "w 90"]
