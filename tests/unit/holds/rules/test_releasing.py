"""All holds of a gate end, and what was spent on them counts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.holds.rules.account import View, count
from airflow_provider_videodb.holds.rules.records import Flag, Kind, holder_of, task_part
from airflow_provider_videodb.holds.rules.releasing import Released, holds_of, release_gate
from airflow_provider_videodb.holds.rules.steps import Put, Remove, SettlesAt, Step, WriteJournal

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_768_478_400_000
MINUTE = 60_000
GATE = task_part("dag", "run", "credits")


def flag_of(
    kind: Kind, credits: int = 12, *, index: int = -1, task_id: str = "credits", try_id: str = "t1", ms: int = NOW
) -> Flag:
    holder = holder_of("dag", "run", task_id, index)
    return Flag(account="a", holder=holder, try_id=try_id, kind=kind, credits=Decimal(credits), ms=ms)


def release(
    *flags: Flag,
    holders: str = GATE,
    spent: int | None = None,
    settlement_ms: Callable[[Flag], int] = lambda _: 20 * MINUTE,
    stop_before: int | None = None,
) -> tuple[set[Flag], Released | None, list[Step]]:
    """Return what is left of the flags, the result, and the steps; carry out only some if `stop_before` says so."""
    left, done = set(flags), []
    steps = release_gate(
        View(flags=flags, listed_at=NOW),
        holders,
        settlement_ms=settlement_ms,
        why="task release",
        spent=None if spent is None else Decimal(spent),
    )
    try:
        step = next(steps)
        while len(done) != stop_before:
            done.append(step)
            response = None
            match step:
                case Put(flag=flag):
                    left.add(flag)
                case Remove(flag=flag):
                    left.discard(flag)
                case SettlesAt(settlement_ms=settlement_ms):
                    response = NOW + settlement_ms
            step = steps.send(response)
    except StopIteration as end:
        return left, end.value, done
    return left, None, done


def shown(flags: Any) -> list[tuple[str, int, int]]:
    return sorted((flag.kind, int(flag.credits), (flag.ms - NOW) // MINUTE) for flag in flags)


def journal(steps: list[Step]) -> list[tuple[int, int | None]]:
    return [
        (int(step.flag.credits), None if step.spent is None else int(step.spent))
        for step in steps
        if isinstance(step, WriteJournal)
    ]


@pytest.mark.parametrize(("spent", "counted"), [(None, 12), (0, 0), (5, 5), (30, 30)])
def test_what_was_spent_counts_until_it_settles(spent, counted):
    left, released, steps = release(flag_of(Kind.HELD), spent=spent)
    assert shown(left) == [("r", counted, 20)]
    assert released == Released(holds=(flag_of(Kind.HELD),), counted=Decimal(counted))
    assert released.credits == 12
    assert journal(steps) == [(12, spent)]


def test_nothing_held_is_nothing_released():
    left, released, steps = release(flag_of(Kind.RELEASED, ms=NOW + MINUTE), flag_of(Kind.HELD, task_id="other"))
    assert released == Released(holds=(), counted=Decimal(0))
    assert steps == []
    assert len(left) == 2


def test_gate_leaves_the_queue():
    left, released, _ = release(flag_of(Kind.WAITING), flag_of(Kind.WAITING, task_id="other"))
    assert left == {flag_of(Kind.WAITING, task_id="other")}
    assert released.holds == ()


def test_all_tries_are_released_and_all_their_credits_count():
    """A job that ran on the first hold may have used it up, and reports its last run only."""
    left, released, steps = release(flag_of(Kind.HELD, 12), flag_of(Kind.HELD, 15, try_id="t2", ms=NOW + 1), spent=5)
    assert shown(left) == [("r", 12, 20), ("r", 15, 20)]
    assert (released.credits, released.counted) == (27, 27)
    assert journal(steps) == [(12, None), (15, None)]


def test_map_index_one_is_not_ten():
    one, ten = flag_of(Kind.HELD, index=1), flag_of(Kind.HELD, index=10)
    left, released, _ = release(one, ten, holders=one.holder, spent=5)
    assert ten in left
    assert released.holds == (one,)
    assert released.counted == 5


def test_all_map_indexes_of_a_task_are_released():
    left, released, _ = release(flag_of(Kind.HELD, 1, index=1), flag_of(Kind.HELD, 2, index=10), spent=1)
    assert shown(left) == [("r", 1, 20), ("r", 2, 20)]
    assert released.counted == 3


def test_settlement_time_is_that_of_each_flag():
    left, _, _ = release(
        flag_of(Kind.HELD, 1, index=1),
        flag_of(Kind.HELD, 2, index=2),
        settlement_ms=lambda flag: int(flag.credits) * MINUTE,
    )
    assert shown(left) == [("r", 1, 1), ("r", 2, 2)]


def test_try_with_several_flags_is_one_hold():
    small, large = flag_of(Kind.HELD, 12), flag_of(Kind.HELD, 15)
    left, released, steps = release(small, large, spent=5)
    assert shown(left) == [("r", 5, 20)]
    assert released.holds == (large,)
    assert journal(steps) == [(15, 5)]


@pytest.mark.parametrize("spent", [None, 5])
def test_interrupted_release_never_counts_too_little(spent):
    flags = (flag_of(Kind.WAITING), flag_of(Kind.HELD, 12), flag_of(Kind.HELD, 15))
    _, _, steps = release(*flags, spent=spent)
    for stop_before in range(len(steps)):
        left, _, _ = release(*flags, spent=spent, stop_before=stop_before)
        counted = sum(one.flag.credits for one in count(View(flags=tuple(left), listed_at=NOW)))
        assert counted >= (15 if spent is None else spent)
        left, _, _ = release(*left, spent=spent)
        assert shown(left) == [("r", 15 if spent is None else 5, 20)]


def test_retry_that_finds_both_flags_says_what_counts():
    held, recorded = flag_of(Kind.HELD), flag_of(Kind.RELEASED, 5, ms=NOW + MINUTE)
    left, released, _ = release(held, recorded)
    assert left == {recorded}
    assert (released.credits, released.counted) == (12, 5)


def test_oldest_hold_comes_first():
    old, new = flag_of(Kind.HELD, 12, try_id="t2", ms=NOW - 5), flag_of(Kind.HELD, 20, try_id="t1")
    assert holds_of([new, old]) == ([old, new], [])
