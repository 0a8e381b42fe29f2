"""What counts as held, who is next, and how many credits a gate may take or has to buy."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.holds.rules.account import (
    BYPASS_MS,
    View,
    assess,
    count,
    queue_of,
)
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from tests.support.holds import MINUTE, START, Task, flag

if TYPE_CHECKING:
    from airflow_provider_videodb.holds.rules.account import Assessment

A, B, C = Task(dag_id="a"), Task(dag_id="b"), Task(dag_id="c")


def view(*flags: Flag, now: int = START, is_complete: bool = True) -> View:
    return View(flags=flags, listed_at=now, is_complete=is_complete)


def seen_by(task: Task, credits: int, *flags: Flag, balance: int = 100, now: int = START, **options: Any) -> Assessment:
    """Assess an account for a gate."""
    usual: dict[str, Any] = {"reserve": Decimal(0), "credits": Decimal(credits)}
    owner = (task.holder, task.try_id)
    return assess(view(*flags, now=now), Decimal(balance), owner=owner, **usual | options)


def waits(task: Task, credits: int, *, minutes: float = 0, priority: int = 0) -> Flag:
    return flag(Kind.WAITING, task, credits, ms=START - int(minutes * MINUTE), priority=priority)


def held(task: Task, credits: int = 10) -> Flag:
    return flag(Kind.HELD, task, credits)


def released(task: Task, credits: int = 10, *, minutes: float = 20) -> Flag:
    """Return what still counts for this many minutes."""
    return flag(Kind.RELEASED, task, credits, ms=START + int(minutes * MINUTE))


class TestCount:
    @pytest.mark.parametrize(
        ("flags", "counted"),
        [
            ([], 0),
            ([held(A)], 10),
            ([held(A), held(B, 5)], 15),
            ([held(A), held(A.next_try())], 20),
            ([waits(A, 10)], 0),
            ([released(A, 7)], 7),
            ([released(A, 7, minutes=0)], 0),
            ([released(A, 7, minutes=-1)], 0),
            ([held(A), released(A, 7)], 7),
            ([released(A, 7), held(A)], 7),
            ([held(A), released(A, 7, minutes=-1)], 0),
            ([held(A, 10), released(A, 30)], 30),
            ([held(A, 10), released(A, 0)], 0),
            ([released(A, 7), released(A, 9, minutes=5)], 9),
            ([held(A, 10), replace(held(A, 20), ms=START - 1)], 20),
            ([released(A, 7), held(A.next_try())], 17),
            ([flag(Kind.PAUSED, None, 50)], 0),
        ],
    )
    def test_each_try_counts_once(self, flags: list[Flag], counted: int) -> None:
        assert sum(one.flag.credits for one in count(view(*flags))) == counted

    def test_settling_is_told_from_running(self) -> None:
        assert [one.is_settling for one in count(view(held(A)))] == [False]
        assert [one.is_settling for one in count(view(released(A)))] == [True]

    @pytest.mark.parametrize("skew", [-MINUTE, MINUTE])
    def test_skew_of_a_minute_shortens_settlement_by_it(self, skew: int) -> None:
        until = START + 20 * MINUTE
        flags = [flag(Kind.RELEASED, A, 10, ms=until + skew)]

        assert count(view(*flags, now=until + skew - 1))
        assert not count(view(*flags, now=until + skew))


class TestQueue:
    def test_first_come_is_first(self) -> None:
        flags = [waits(A, 5, minutes=1), waits(B, 5, minutes=3), waits(C, 5, minutes=2)]

        assert [one.holder for one in queue_of(flags)] == [B.holder, C.holder, A.holder]

    def test_higher_priority_is_first(self) -> None:
        flags = [waits(A, 5, minutes=9), waits(B, 5, priority=1), waits(C, 5, minutes=99, priority=-1)]

        assert [one.holder for one in queue_of(flags)] == [B.holder, A.holder, C.holder]

    def test_holder_has_one_place_over_its_tries(self) -> None:
        flags = [waits(A.next_try(), 5, minutes=1), waits(A, 5, minutes=3), waits(B, 5, minutes=2)]

        assert queue_of(flags) == [flags[1], flags[2]]

    def test_larger_place_counts_while_the_credits_change(self) -> None:
        smaller, larger = waits(A, 5), waits(A, 7)

        assert queue_of([smaller, larger]) == queue_of([larger, smaller]) == [larger]

    def test_try_that_opens_is_not_in_the_queue(self) -> None:
        assert queue_of([waits(A, 5), held(A, 5), waits(B, 5)]) == [waits(B, 5)]

    def test_hold_of_earlier_try_does_not_hide_the_place(self) -> None:
        assert queue_of([held(A), waits(A.next_try(), 5)]) == [waits(A.next_try(), 5)]


class TestTurn:
    def test_gate_leaves_alone_what_is_promised_ahead(self) -> None:
        seen = seen_by(B, 50, waits(A, 60, minutes=31), waits(B, 50))

        assert not seen.is_next(Decimal(50))
        assert seen.can_hold(Decimal(50))
        assert (seen.promised, seen.place, seen.waiting) == (60, 2, 2)
        assert seen.first == waits(A, 60, minutes=31)

    def test_gate_may_use_what_is_left_by_those_ahead(self) -> None:
        assert seen_by(B, 40, waits(A, 60, minutes=31), waits(B, 40)).is_next(Decimal(40))

    @pytest.mark.parametrize(
        ("credits", "minutes", "may_pass"),
        [(59, 0, True), (59, 29.9, True), (59, 30, False), (60, 0.1, False), (61, 0.1, False), (2, 30, False)],
    )
    def test_smaller_request_may_pass_for_half_an_hour(self, credits: int, minutes: float, may_pass: bool) -> None:
        seen = seen_by(B, credits, waits(A, 60, minutes=minutes), waits(B, credits, minutes=-0.1), balance=61)

        assert seen.is_next(Decimal(credits)) is may_pass
        assert seen.place == 2
        assert (waits(A, 60, minutes=minutes) in seen.ahead) is not may_pass
        assert BYPASS_MS == 30 * MINUTE

    def test_smaller_request_never_passes_a_higher_priority(self) -> None:
        first = waits(A, 60, priority=1)

        assert not seen_by(B, 1, first, waits(B, 1), balance=60).is_next(Decimal(1))
        assert seen_by(B, 1, first, waits(B, 1, priority=2), balance=60, priority=2).is_next(Decimal(1))
        assert seen_by(A, 60, first, waits(B, 1), balance=60, priority=1).is_next(Decimal(60))

    def test_later_one_with_higher_priority_goes_first(self) -> None:
        flags = waits(A, 60, minutes=60), waits(B, 60, priority=1)

        assert seen_by(B, 60, *flags, priority=1).is_next(Decimal(60))
        assert not seen_by(A, 60, *flags).is_next(Decimal(60))

    def test_two_of_one_moment_have_an_order(self) -> None:
        flags = waits(A, 60), waits(B, 60)

        assert {seen_by(A, 60, *flags).place, seen_by(B, 60, *flags).place} == {1, 2}

    def test_clock_ahead_by_a_minute_gives_no_better_place(self) -> None:
        flags = waits(A, 60), waits(B, 60, minutes=-1)

        assert seen_by(A, 60, *flags).is_next(Decimal(60))
        assert not seen_by(B, 60, *flags).is_next(Decimal(60))

    def test_gate_without_a_place_is_last(self) -> None:
        seen = seen_by(C, 5, waits(A, 60, minutes=1), waits(B, 60, minutes=1))

        assert (seen.place, seen.waiting) == (3, 3)

    def test_gate_keeps_its_place_while_it_opens(self) -> None:
        flags = waits(A, 60, minutes=3), held(A, 60), waits(B, 60, minutes=1), waits(C, 60, minutes=2)

        seen = seen_by(A, 60, *flags)

        assert (seen.place, seen.waiting) == (1, 3)

    def test_gate_that_opens_has_the_place_of_its_longest_wait(self) -> None:
        flags = waits(A, 60, minutes=3), waits(A, 50, minutes=1), held(A, 60), waits(B, 60, minutes=2)

        assert seen_by(A, 60, *flags).place == seen_by(A, 60, *reversed(flags)).place == 1

    def test_mapped_gates_are_distinct(self) -> None:
        one, ten = Task(map_index=1), Task(map_index=10)

        assert seen_by(ten, 60, held(one, 60)).available == 40
        assert seen_by(one, 60, held(one, 60)).available == 100


class TestAvailable:
    def test_reserve_and_holds_of_others_are_left_alone(self) -> None:
        seen = seen_by(A, 60, held(B, 20), released(C, 15), reserve=Decimal(5))

        assert (seen.balance, seen.reserve, seen.held, seen.available) == (100, 5, 35, 60)
        assert seen.can_hold(Decimal(60))
        assert not seen.can_hold(Decimal("60.000001"))

    def test_own_flags_do_not_count(self) -> None:
        assert seen_by(A, 60, held(A, 60), waits(A, 60)).available == 100

    def test_hold_of_earlier_try_counts(self) -> None:
        assert seen_by(A.next_try(), 60, held(A, 60)).available == 40

    @pytest.mark.parametrize("is_complete", [True, False])
    def test_nobody_starts_on_a_listing_that_is_cut_off(self, is_complete: bool) -> None:
        seen = assess(
            view(is_complete=is_complete), Decimal(9), reserve=Decimal(0), owner=("a", "1"), credits=Decimal(1)
        )

        assert seen.can_hold(Decimal(1)) is is_complete
        assert seen.is_next(Decimal(1)) is is_complete
        assert seen.shortfall(Decimal(99)) == (90 if is_complete else 0)


class TestShortfall:
    @pytest.mark.parametrize("balance", [-30, 0, 1, 40, 60, 79, 80, 100])
    @pytest.mark.parametrize("minutes", [0.5, 45])
    @pytest.mark.parametrize("holds", [0, 25, 200])
    def test_two_gates_buy_what_both_need_together(self, balance: int, minutes: float, holds: int) -> None:
        flags = waits(A, 50, minutes=minutes), waits(B, 30), held(C, holds)

        bought = [seen_by(A, 50, *flags, balance=balance).shortfall(Decimal(50))]
        bought.append(seen_by(B, 30, *flags, balance=balance).shortfall(Decimal(30)))

        assert sum(bought) == max(0, 80 - (balance - holds))
        assert all(amount >= 0 for amount in bought)

    def test_gate_alone_buys_what_it_lacks(self) -> None:
        assert seen_by(A, 130, held(B, 20)).shortfall(Decimal(130)) == 50
        assert seen_by(A, 80, held(B, 20)).shortfall(Decimal(80)) == 0

    def test_gate_behind_others_does_not_buy_for_them(self) -> None:
        seen = seen_by(C, 30, waits(A, 500, minutes=45), waits(B, 500, minutes=40), waits(C, 30))

        assert seen.shortfall(Decimal(30)) == 30

    def test_gate_with_priority_buys_first(self) -> None:
        flags = waits(A, 50, minutes=45), waits(B, 30, priority=1)

        assert seen_by(B, 30, *flags, balance=20, priority=1).shortfall(Decimal(30)) == 10
        assert seen_by(A, 50, *flags, balance=20).shortfall(Decimal(50)) == 50
