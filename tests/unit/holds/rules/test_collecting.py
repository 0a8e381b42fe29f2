"""Collection and release."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
)
from airflow_provider_videodb.holds.journal import read_notes
from airflow_provider_videodb.holds.rules.records import Kind, parse_key, task_part
from airflow_provider_videodb.holds.rules.releasing import held_by, release_flag, release_gate
from tests.support.holds import (
    ACCOUNT,
    MINUTE,
    SETTLEMENT,
    START,
    Task,
    World,
    flag,
    text_of,
)

A, B, C = Task(dag_id="a", run_id="ra"), Task(dag_id="b", run_id="rb"), Task(dag_id="c", run_id="rc")


def waits(world: World, task: Task, credits: int, *, minutes: float = 0, priority: int = 0) -> None:
    ms = world.now_ms - int(minutes * MINUTE)
    world.put(flag(Kind.WAITING, task, credits, ms=ms, priority=priority), text_of(task))


class TestCollect:
    def test_hold_ends_with_its_run(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        world.collect()
        assert world.shown() == ["h 75"]

        world.airflow.ended.add("ra")
        world.collect()

        assert world.shown() == ["r 75"]
        (note,) = read_notes(world.store(), ACCOUNT, since_ms=0)
        assert (note.fields["released_by"], note.fields["spent"]) == ("the end of the DAG run", None)
        assert (note.fields["dag_id"], note.fields["run_id"]) == ("a", "ra")

    def test_hold_outlives_a_task_that_has_finished(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        world.airflow.states["ra"] = {"gate": "success"}

        world.collect()

        assert world.shown() == ["h 75"]

    def test_hold_with_overwritten_value_stays_until_released(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        world.airflow.ended.add("ra")
        for text in ("", "null", "[]", "{}", text_of(B), "mine!", '{"dag_id": null}'):
            for key in world.kept:
                world.kept[key] = text
            world.collect()
            assert world.shown() == ["h 75"]
            assert not world.may_start(26)

        assert len(world.release(A).holds) == 1
        assert world.shown() == ["r 75"]

    @pytest.mark.parametrize("first", [Kind.HELD, Kind.RELEASED])
    def test_release_that_was_interrupted_counts_once(self, world: World, first: Kind) -> None:
        flags = {
            Kind.HELD: flag(Kind.HELD, A, 75),
            Kind.RELEASED: flag(Kind.RELEASED, A, 30, ms=START + MINUTE),
        }
        for one in flags.values():
            world.put(one, text_of(A))
        assert world.claim(B, 1).seen.held == 30
        world.release(B, spent=0)

        del world.kept[flags[first].key]

        assert world.claim(B, 1).seen.held == (30 if first is Kind.HELD else 75)

    def test_settled_release_stays_while_its_hold_is_there(self, world: World) -> None:
        world.put(flag(Kind.HELD, A, 75), text_of(A))
        world.put(flag(Kind.RELEASED, A, 75, ms=START - 1), text_of(A))
        store = world.store()
        assert world.may_start(100)

        world.collect(store=store)

        assert [parse_key(key).kind for what, key in store.calls if what == "delete"] == [Kind.HELD]
        world.collect()
        assert world.flags() == []

    @pytest.mark.parametrize("skew", [-MINUTE, 0, MINUTE])
    def test_release_counts_until_its_moment(self, world: World, skew: int) -> None:
        assert world.claim(A, 75).is_held
        world.release(A, skew_ms=skew)
        world.now_ms += SETTLEMENT + skew - 1
        world.collect()
        assert not world.may_start(26)

        world.now_ms += 1
        assert world.may_start(100)
        world.collect()
        assert world.flags() == []

    def test_ten_waiters_are_checked_at_a_time(self, world: World) -> None:
        for number in range(12):
            waits(world, Task(dag_id=f"{number}", run_id="ra"), 5, minutes=12 - number)
        world.airflow.ended.add("ra")

        world.collect()
        assert len(world.flags()) == 2
        world.collect()
        assert world.flags() == []

    def test_collector_leaves_one_holder_alone(self, world: World) -> None:
        """A gate does not ask whether it has ended itself."""
        waits(world, A, 500)
        world.airflow.ended.add("ra")

        assert not world.claim(A, 500).is_held
        assert world.shown() == ["w 500"]


class TestRelease:
    @pytest.mark.parametrize(("spent", "counts"), [(None, 75), (0, 0), (30, 30), (90, 90)])
    def test_spending_counts_while_it_settles(self, world: World, spent: int | None, counts: int) -> None:
        assert world.claim(A, 75).is_held
        assert world.release(A, spent=spent).credits == 75

        assert world.shown() == [f"r {counts}"]
        assert world.may_start(100 - counts)
        assert not world.may_start(101 - counts)

    def test_release_leaves_the_queue(self, world: World) -> None:
        world.balance = 0
        world.claim(A, 75)

        assert world.release(A).holds == ()
        assert world.flags() == []

    def test_release_of_one_map_index_leaves_the_others(self, world: World) -> None:
        for index in (1, 10, 11):
            assert world.claim(Task(map_index=index), 30).is_held

        world.release(Task(map_index=1), spent=0)

        view = world.ledger().view()
        assert {one.holder for one in held_by(view, task_part("dag", "run", "gate"))} == {
            Task(map_index=10).holder,
            Task(map_index=11).holder,
        }
        assert held_by(view, Task(map_index=1).holder) == []

    def test_release_of_a_task_is_that_of_all_map_indexes(self, world: World) -> None:
        for index in range(3):
            assert world.claim(Task(map_index=index), 30).is_held
        assert world.claim(A, 10).is_held
        world.put(flag(Kind.WAITING, Task(map_index=9), 5))
        ledger, task = world.ledger(), task_part("dag", "run", "gate")

        released = ledger.run(release_gate(ledger.view(), task, settlement_ms=lambda _: SETTLEMENT, why="the teardown"))

        assert len(released.holds) == 3
        assert world.shown() == ["h 10", "r 30", "r 30", "r 30"]

    def test_released_credits_say_whose_they_were(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        world.release(A)
        ledger = world.ledger()

        (released,) = ledger.view().flags

        assert str(ledger.who(released)) == "DAG a, run ra, task gate"

    def test_two_releases_at_once_count_the_larger(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        ledger = world.ledger()
        view = ledger.view()
        world.release(A, spent=30)

        world.release(A, view=view, why="the end of the DAG run")

        assert world.shown() == ["r 30", "r 75"]
        assert not world.may_start(26)
        notes = list(read_notes(world.store(), ACCOUNT, since_ms=0))
        assert len(notes) == 1

    def test_figure_that_is_too_long_releases_nothing(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        ledger = world.ledger()
        (held,) = ledger.view().flags
        steps = release_flag(
            held, settlement_ms=SETTLEMENT, why="the teardown", view=ledger.view(), spent=Decimal("1e-300")
        )

        with pytest.raises(VideoDBConfigError, match="too long"):
            ledger.run(steps)

        assert world.shown() == ["h 75"]
