"""How a gate claims credits, and keeps its place."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
)
from airflow_provider_videodb.holds.rules.claiming import claim_credits
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.holds.rules.steps import ListFlags, Put, ReadBalance, Remove
from tests.support.holds import (
    MINUTE,
    SETTLEMENT,
    START,
    Task,
    World,
    claim_of,
    flag,
    foreign_key,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_videodb.holds.rules.claiming import ClaimResult
    from airflow_provider_videodb.holds.rules.steps import Step
A, B, C = Task(dag_id="a", run_id="ra"), Task(dag_id="b", run_id="rb"), Task(dag_id="c", run_id="rc")


def waits(world: World, task: Task, credits: int, *, minutes: float = 0, priority: int = 0) -> None:
    ms = world.now_ms - int(minutes * MINUTE)
    world.put(flag(Kind.WAITING, task, credits, ms=ms, priority=priority), text_of(task))


def settles(world: World, *, pass_time: bool = True) -> None:
    """Let all runs end and all spending show, and let those who wait collect."""
    world.airflow.ended |= {"ra", "rb", "rc", "run"}
    for _ in range(3):
        world.collect()
        world.now_ms += SETTLEMENT if pass_time else 0


class TestClaim:
    def test_flag_is_raised_before_the_look(self, world: World) -> None:
        steps = claim_credits(claim_of(A, 75))
        done: list[object] = []
        ledger = world.ledger(A)

        def watched() -> Generator[Step, Any, ClaimResult]:
            step = next(steps)
            while True:
                done.append((type(step), step.flag.kind) if isinstance(step, Put | Remove) else type(step))
                try:
                    step = steps.send((yield step))
                except StopIteration as end:
                    return end.value

        assert ledger.run(watched()).is_held
        assert done == [
            ListFlags,
            (Put, Kind.WAITING),
            ListFlags,
            ReadBalance,
            (Put, Kind.HELD),
            ListFlags,
            ReadBalance,
            (Remove, Kind.WAITING),
        ]

    def test_second_gate_waits_for_the_credits_of_the_first(self, world: World) -> None:
        assert world.claim(A, 75).is_held
        assert not world.claim(B, 75).is_held
        assert world.shown() == ["h 75", "w 75"]

        world.release(A, spent=0)
        world.balance = 100

        assert world.claim(B, 75).is_held
        assert world.shown() == ["h 75", "r 0"]

    def test_gate_that_waits_keeps_its_place(self, world: World) -> None:
        world.balance = 0
        world.claim(A, 75)
        for minute in range(1, 4):
            world.now_ms += MINUTE
            assert not world.claim(A.next_try() if minute > 1 else A, 75).is_held

        assert [(one.kind, one.ms, one.try_id) for one in world.flags()] == [(Kind.WAITING, START, A.next_try().try_id)]

    def test_other_spelling_of_the_credits_leaves_no_flag(self, world: World) -> None:
        world.balance = 0
        world.claim(A, "75")
        world.claim(A, "75.0")
        assert world.shown() == ["w 75.0"]

        world.balance = 100
        assert world.claim(A, "75.0").is_held
        assert world.shown() == ["h 75.0"]

    @pytest.mark.parametrize("skew", [-MINUTE, MINUTE])
    def test_place_survives_a_clock_that_is_off(self, world: World, skew: int) -> None:
        world.balance = 0
        world.claim(A, 75, skew_ms=skew)
        world.claim(A.next_try(), 75)
        world.claim(B, 75, skew_ms=2 * MINUTE)

        assert {one.ms for one in world.flags()} == {START + min(skew, 0), START + 2 * MINUTE}

    def test_smaller_gate_passes_only_for_half_an_hour(self, world: World) -> None:
        waits(world, A, 200, minutes=29)
        assert world.claim(B, 50).is_held

        waits(world, C, 300, minutes=31)
        assert not world.claim(Task(dag_id="d"), 50).is_held

    def test_dead_head_is_skipped(self, world: World) -> None:
        waits(world, A, 200, minutes=31)
        world.airflow.ended.add("ra")

        assert not world.claim(B, 50).is_held
        assert world.claim(B, 50).is_held
        assert world.shown() == ["h 50"]

    @pytest.mark.parametrize("state", ["success", "failed", "skipped", "upstream_failed", "removed"])
    def test_finished_head_is_skipped(self, world: World, state: str) -> None:
        waits(world, A, 200, minutes=31)
        world.airflow.states["ra"] = {"gate": state}

        world.claim(B, 50)

        assert world.claim(B, 50).is_held

    @pytest.mark.parametrize("state", [None, "running", "deferred", "up_for_retry", "up_for_reschedule", "queued"])
    def test_living_head_stays(self, world: World, state: str | None) -> None:
        waits(world, A, 200, minutes=31)
        world.airflow.states["ra"] = {"gate": state}

        for _ in range(3):
            assert not world.claim(B, 50).is_held
        assert world.shown() == ["w 200", "w 50"]

    def test_gate_counts_credits_in_reserve(self, world: World) -> None:
        assert not world.claim(A, 96, reserve=5).is_held
        assert world.claim(A, 95, reserve=5).is_held

    @pytest.mark.parametrize("until", [0, START + 1])
    def test_pause_stops_everybody_until_it_ends(self, world: World, until: int) -> None:
        paused = world.put(flag(Kind.PAUSED, None, 0, ms=until))
        assert not world.claim(A, 5).is_held
        assert paused in world.flags()

        world.now_ms += 1
        assert world.claim(A, 5).is_held is (until > 0)

        world.collect()
        assert (paused in world.flags()) is (until == 0)

    def test_mapped_gates_hold_each_for_itself(self, world: World) -> None:
        opened = [world.claim(Task(map_index=index), 30).is_held for index in range(5)]

        assert opened == [True, True, True, False, False]
        assert world.shown() == ["h 30", "h 30", "h 30", "w 30", "w 30"]

    def test_key_that_is_too_long_writes_nothing(self, world: World) -> None:
        with pytest.raises(VideoDBConfigError, match="Nothing was held"):
            world.claim(A, "0." + "1" * 200)

        assert world.kept == {}

    def test_foreign_keys_are_ignored(self, world: World) -> None:
        holder = A.holder
        foreign = {
            foreign_key(rest): "anything"
            for rest in [
                f"{holder}/t/h/NaN/1",
                f"{holder}/t/h/-50/1",
                f"{holder}/t/h/1e99/1",
                f"{holder}/t/h/Infinity/1",
                f"{holder}/t/h/\u0665\u0660/1",
                f"{holder}/t/h/50/\u0661",
                f"{holder}/t/x/50/1",
                f"{holder}/t/h/50/1/2/3",
                f"{holder}//h/50/1",
                "note",
                f"-/-/p/0/{'9' * 30}",
            ]
        }
        world.kept |= foreign

        assert world.claim(A, 100).is_held
        assert not world.claim(B, 1).is_held
        world.release(A)
        assert foreign.items() <= world.kept.items()

    @pytest.mark.parametrize(
        ("credits", "can_hold", "is_next"), [(40, True, False), (41, False, False), (10, True, True)]
    )
    def test_claim_says_at_once_whether_it_may_open(
        self, world: World, credits: int, can_hold: bool, is_next: bool
    ) -> None:
        world.put(flag(Kind.HELD, B, 55))
        waits(world, C, 30, minutes=31)
        claim, view = claim_of(A, credits, reserve=5), world.ledger().view()

        assert claim.can_hold(view, Decimal(100)) is can_hold
        assert claim.is_next(view, Decimal(100)) is is_next
        paused = replace(view, flags=(*view.flags, flag(Kind.PAUSED, None, 0, ms=0)))
        assert not claim.can_hold(paused, Decimal(100))


class TestThousandRecords:
    def test_nobody_opens_while_collection_goes_on(self, world: World) -> None:
        for number in range(1200):
            world.put(flag(Kind.RELEASED, Task(dag_id=f"{number}"), 1, ms=START - 1))

        results = [world.claim(A, 5) for _ in range(3)]

        assert [result.is_held for result in results] == [False, True, True]
        assert not results[0].seen.is_complete
        assert len(world.flags()) < 250

    def test_release_removes_what_has_settled(self, world: World) -> None:
        """On an account where nobody ever waits, nobody else does."""
        for number in range(50):
            task = Task(dag_id=f"{number}", run_id=f"{number}")
            assert world.claim(task, 5).is_held
            world.release(task)
            world.now_ms += 30 * MINUTE

        assert len(world.flags()) == 1

    def test_release_removes_twenty_at_most(self, world: World) -> None:
        for number in range(45):
            world.put(flag(Kind.RELEASED, Task(dag_id=f"{number}"), 1, ms=START))

        world.release(A)
        assert len(world.flags()) == 25
        world.release(A)
        world.release(A)
        assert world.flags() == []


def test_account_without_holds_is_as_it_was(world: World) -> None:
    assert world.claim(A, 75).is_held
    world.release(A)
    settles(world)

    assert all(key.startswith("videodb/holds-journal/") for key in world.kept)
    assert replace(world, kept={}).may_start(100)
