"""What holds for any flags of an account."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.holds.rules.account import (
    View,
    assess,
    held_by_others,
    is_next,
)
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from tests.support.holds import MINUTE, START, Task, flag

if TYPE_CHECKING:
    import random

    from airflow_provider_videodb.holds.rules.account import Assessment
A, B, C = Task(dag_id="a"), Task(dag_id="b"), Task(dag_id="c")


def view(*flags: Flag, now: int = START, is_complete: bool = True) -> View:
    return View(flags=flags, listed_at=now, is_complete=is_complete)


def seen_by(task: Task, credits: int, *flags: Flag, balance: int = 100, now: int = START, **options: Any) -> Assessment:
    """Assess an account for a gate."""
    usual: dict[str, Any] = {"reserve": Decimal(0), "credits": Decimal(credits)}
    owner = (task.holder, task.try_id)
    return assess(view(*flags, now=now), Decimal(balance), owner=owner, **usual | options)


def held(task: Task, credits: int = 10) -> Flag:
    return flag(Kind.HELD, task, credits)


class TestPause:
    @pytest.mark.parametrize(
        ("moments", "until"),
        [
            ([], None),
            ([0], 0),
            ([START + 1], START + 1),
            ([START], None),
            ([START - 1], None),
            ([START + 5, START + 9], START + 9),
            ([START + 5, 0], 0),
        ],
    )
    def test_nobody_starts_while_paused(self, moments: list[int], until: int | None) -> None:
        seen = seen_by(A, 60, *(flag(Kind.PAUSED, None, 0, ms=ms) for ms in moments))

        assert seen.paused_until == until
        assert seen.can_hold(Decimal(60)) is (until is None)
        assert seen.is_next(Decimal(60)) is (until is None)
        assert seen.shortfall(Decimal(110)) == (10 if until is None else 0)


TASKS = [Task(dag_id=name, try_number=number) for name in "abc" for number in (1, 2)]
FLAGS = st.builds(
    flag,
    st.sampled_from(Kind),
    st.sampled_from(TASKS),
    st.integers(0, 99),
    ms=st.integers(START - 40 * MINUTE, START + 40 * MINUTE),
    priority=st.integers(-1, 1),
)


@given(st.lists(FLAGS, max_size=12), st.sampled_from(TASKS), st.integers(0, 99), st.randoms(use_true_random=False))
def test_order_of_a_listing_does_not_matter(flags: list[Flag], me: Task, credits: int, order: random.Random) -> None:
    shuffled = order.sample(flags, len(flags))

    one, other = seen_by(me, credits, *flags), seen_by(me, credits, *shuffled)

    # Flags of one try with as many credits are alike.
    assert [it.flag.credits for it in one.counted] == [it.flag.credits for it in other.counted]
    assert replace(one, counted=()) == replace(other, counted=())


@given(st.lists(FLAGS, max_size=12), st.sampled_from(TASKS), st.integers(0, 99))
def test_counted_credits_are_those_of_others(flags: list[Flag], me: Task, credits: int) -> None:
    seen = seen_by(me, credits, *flags)
    own = (me.holder, me.try_id)

    assert seen.held >= 0
    assert seen.promised >= 0
    assert all(one.flag.owner != own for one in seen.counted)
    assert all(one.holder != me.holder for one in (*seen.ahead, *seen.before))
    assert seen.held == seen_by(me, credits, *(one for one in flags if one.owner != own)).held
    assert len({one.flag.owner for one in seen.counted}) == len(seen.counted)
    assert set(seen.ahead) <= set(seen.before)
    assert 1 <= seen.place <= seen.waiting
    # Being next is stricter than being safe.
    assert seen.can_hold(Decimal(credits)) or not seen.is_next(Decimal(credits))


@given(
    st.lists(FLAGS, max_size=12), st.sampled_from(TASKS), st.integers(0, 99), st.integers(-50, 400), st.integers(0, 5)
)
def test_short_cuts_say_what_the_assessment_says(
    flags: list[Flag], me: Task, credits: int, balance: int, page: int
) -> None:
    owner, needed = (me.holder, me.try_id), Decimal(credits)
    all_flags = view(*flags, is_complete=page > 0)
    seen = assess(all_flags, Decimal(balance), reserve=Decimal(0), owner=owner, credits=needed)

    quick = is_next(all_flags, Decimal(balance), reserve=Decimal(0), owner=owner, credits=needed)

    assert quick is seen.is_next(needed)
    assert held_by_others(all_flags, owner) == seen.held
    assert all_flags.is_open is seen.is_open


@given(st.lists(FLAGS, max_size=12), st.sampled_from(TASKS))
def test_another_hold_never_adds_credits(flags: list[Flag], me: Task) -> None:
    other = flag(Kind.HELD, Task(dag_id="other"), 5)

    assert seen_by(me, 1, *flags, other).available == seen_by(me, 1, *flags).available - 5
