"""Claims, releases and collections that are killed at each call of the store, and tries that live on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.holds.journal import read_notes
from airflow_provider_videodb.holds.rules.claiming import enqueue
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.holds.rules.releasing import held_by
from tests.support.holds import (
    ACCOUNT,
    MINUTE,
    SETTLEMENT,
    START,
    ModelStore,
    ProcessDied,
    Task,
    World,
    claim_of,
    flag,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = Task(dag_id="a", run_id="ra"), Task(dag_id="b", run_id="rb"), Task(dag_id="c", run_id="rc")
#: More calls of the store than a claim or a release makes.
ENOUGH = 25


def waits(world: World, task: Task, credits: int, *, minutes: float = 0, priority: int = 0) -> None:
    ms = world.now_ms - int(minutes * MINUTE)
    world.put(flag(Kind.WAITING, task, credits, ms=ms, priority=priority), text_of(task))


def settles(world: World, *, pass_time: bool = True) -> None:
    """Let all runs end and all spending show, and let those who wait collect."""
    world.airflow.ended |= {"ra", "rb", "rc", "run"}
    for _ in range(3):
        world.collect()
        world.now_ms += SETTLEMENT if pass_time else 0


def die(store: ModelStore, work: Callable[[ModelStore], object]) -> bool:
    """Do something that its process may not survive, and tell whether it did not."""
    try:
        work(store)
    except ProcessDied:
        return True
    return False


class TestDeath:
    """The process is killed at each call of the store, before the call and after it."""

    @pytest.mark.parametrize("is_done", [False, True])
    @pytest.mark.parametrize("nth", range(1, ENOUGH))
    def test_death_of_a_claim_is_made_good(self, world: World, nth: int, is_done: bool) -> None:
        store = world.store()
        store.die_at(nth, is_done=is_done)
        has_died = die(store, lambda store: world.claim(A, 75, store=store))
        assert has_died is (nth <= 6)
        is_up = any(one.kind is Kind.HELD for one in world.flags())
        left_behind = dict(world.kept)

        # The next try gets the credits: at once, or when those of the dead one have settled.
        again = A.next_try()
        if not world.claim(again, 75).is_held:
            assert is_up
            assert world.shown() == ["r 75", "w 75"]
            world.now_ms += SETTLEMENT
            assert world.claim(again, 75).is_held
        assert [one.try_id for one in world.flags() if one.kind is Kind.HELD] == [again.try_id]
        assert not world.may_start(26)
        world.release(again)
        settles(world)
        assert world.flags() == []

        # Without another try, the end of the run brings them back, after settlement.
        world.kept.clear()
        world.kept.update(left_behind)
        world.collect()
        assert world.may_start(26) is not is_up
        settles(world)
        assert world.flags() == []

    @pytest.mark.parametrize("spent", [None, 0, 30, 120])
    @pytest.mark.parametrize("is_done", [False, True])
    @pytest.mark.parametrize("nth", range(1, ENOUGH))
    def test_death_of_a_release_is_made_good(self, world: World, nth: int, is_done: bool, spent: int | None) -> None:
        assert world.claim(A, 75).is_held
        store = world.store()
        store.die_at(nth, is_done=is_done)
        has_died = die(store, lambda store: world.release(A, spent=spent, store=store))
        assert has_died is (nth <= 6)
        counts = 75 if spent is None else spent
        is_recorded = any(one.kind is Kind.RELEASED for one in world.flags())
        expected = counts if is_recorded else 75
        left_behind = dict(world.kept)

        # At each moment, something counts.
        seen = world.claim(B, 1).seen
        assert seen.held == expected
        world.release(B, spent=0)

        # A second release ends it, and the journal has it once.
        world.release(A, spent=spent)
        assert [one.credits for one in world.flags() if one.credits and one.kind is Kind.RELEASED] == [
            Decimal(counts)
        ] * bool(counts)
        notes = [note for note in read_notes(world.store(), ACCOUNT, since_ms=0) if note.owner[0] == A.holder]
        assert [(note.fields["spent"], note.fields["released_by"]) for note in notes] == [(spent, "the teardown")]
        settles(world)
        assert world.flags() == []

        # So does the end of the run.
        world.kept.clear()
        world.kept.update(left_behind)
        settles(world)
        assert world.flags() == []
        notes = list(read_notes(world.store(), ACCOUNT, since_ms=0))
        assert len(notes) == 1

    @pytest.mark.parametrize("is_done", [False, True])
    @pytest.mark.parametrize("nth", range(1, ENOUGH))
    def test_death_of_a_collector_is_made_good(self, world: World, nth: int, is_done: bool) -> None:
        assert world.claim(A, 75).is_held
        waits(world, B, 50)
        world.put(flag(Kind.RELEASED, C, 10, ms=START))
        world.airflow.ended |= {"ra", "rb"}
        store = world.store()
        store.die_at(nth, is_done=is_done)
        die(store, lambda store: world.collect(store=store))

        assert not world.may_start(26)
        world.collect()
        assert world.shown() == ["r 75"]
        settles(world)
        assert world.flags() == []


class TestZombie:
    """A try that was frozen, and goes on after its successor."""

    def test_flag_of_a_zombie_does_not_hide_its_successors(self, world: World) -> None:
        assert world.claim(A.next_try(), 60).is_held

        zombie = world.claim(A, 60)

        assert not zombie.is_held
        assert [one.try_id for one in world.flags() if one.kind is Kind.HELD] == [A.next_try().try_id]
        assert not world.may_start(41)

    @pytest.mark.parametrize("nth", range(1, 7))
    def test_zombie_never_writes_the_flag_of_its_successor(self, world: World, nth: int) -> None:
        """The zombie stops before its nth call, and goes on when its successor has opened."""
        store, taken = world.store(), {}

        def overtake() -> None:
            assert world.claim(A.next_try(), 60).is_held or nth > 4
            taken.update({one.key: one for one in world.flags() if one.try_id == A.next_try().try_id})

        store.before[nth] = overtake
        zombie = world.claim(A, 60, store=store)

        held = [one for one in world.flags() if one.kind is Kind.HELD]
        holders = {one.try_id for one in held}
        # Its own flag may stay, which keeps others out for nothing.
        assert holders <= {A.try_id, A.next_try().try_id}
        if any(one.kind is Kind.HELD for one in taken.values()):
            assert A.next_try().try_id in holders
        assert world.available() >= 0
        # It has decided before its successor came, which then released its hold. Airflow refuses its success.
        has_lost_its_hold = nth == 6
        assert zombie.is_held is (A.try_id in holders or has_lost_its_hold)
        changed = {key for what, key in store.calls if what in ("write", "delete")} & taken.keys()
        assert all(taken[key].kind is Kind.WAITING for key in changed)

    def test_zombie_does_not_release_its_successor(self, world: World) -> None:
        """No job has begun, so only the number of the try says which one is older."""
        assert world.claim(A.next_try(), 60).is_held

        world.claim(A, 30)

        assert {one.try_id for one in held_by(world.ledger().view(), A.holder)} == {A.try_id, A.next_try().try_id}

    def test_release_ends_the_zombies_hold_as_well(self, world: World) -> None:
        world.balance = 200
        world.put(flag(Kind.HELD, A, 60), text_of(A))
        world.is_unused = False
        assert world.claim(A.next_try(), 60).is_held

        assert len(world.release(A.next_try(), spent=0).holds) == 2
        assert world.shown() == ["r 60", "r 60"]


class TestEarlierTry:
    def test_unused_hold_of_earlier_try_settles(self, world: World) -> None:
        world.put(flag(Kind.HELD, A, 60), text_of(A))

        assert not world.claim(A.next_try(), 60).is_held
        assert world.shown() == ["r 60", "w 60"]

        world.now_ms += SETTLEMENT
        assert world.claim(A.next_try(), 60).is_held

    def test_hold_of_a_try_that_did_not_open_is_free_at_once(self, world: World) -> None:
        """Its place in the queue is there still, so no job has run on it, whatever jobs run."""
        world.is_unused = False
        world.put(flag(Kind.HELD, A, 60), text_of(A))
        waits(world, A, 60)

        assert world.claim(A.next_try(), 60).is_held
        assert world.shown() == ["h 60"]

    def test_used_hold_of_earlier_try_stays(self, world: World) -> None:
        """A gate that was cleared alone while its jobs run."""
        world.is_unused = False
        world.put(flag(Kind.HELD, A, 60), text_of(A))

        assert not world.claim(A.next_try(), 60).is_held
        assert world.shown() == ["h 60", "w 60"]
        assert world.claim(A.next_try(), 40).is_held
        assert world.shown() == ["h 40", "h 60"]

    def test_released_hold_of_earlier_try_is_removed(self, world: World) -> None:
        world.is_unused = False
        world.put(flag(Kind.HELD, A, 60), text_of(A))
        world.put(flag(Kind.RELEASED, A, 5, ms=START + MINUTE), text_of(A))

        assert world.claim(A.next_try(), 60).is_held
        assert world.shown() == ["h 60", "r 5"]

    def test_unreadable_hold_of_earlier_try_stays(self, world: World) -> None:
        world.put(flag(Kind.HELD, A, 60), "overwritten")

        assert not world.claim(A.next_try(), 60).is_held
        assert world.shown() == ["h 60", "w 60"]

    def test_place_of_a_trigger_is_that_of_the_worker(self, world: World) -> None:
        waiting = world.ledger(A).run(enqueue(claim_of(A, 60, priority=2)))
        assert waiting.key.endswith("/2")
        assert world.flags() == [waiting]

        world.now_ms += MINUTE
        assert world.ledger(A).run(enqueue(claim_of(A, 60, priority=2))) == waiting
        assert world.flags() == [waiting]
