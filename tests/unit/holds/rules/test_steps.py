"""Claim, release and collection: in order, killed at each call of the store, and disturbed in the middle."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
    VideoDBServerError,
)
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.journal import read_notes
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.claiming import claim_credits, enqueue
from airflow_provider_videodb.holds.rules.records import Kind, parse_key, task_part
from airflow_provider_videodb.holds.rules.releasing import held_by, release_flag, release_gate
from airflow_provider_videodb.holds.rules.steps import ListFlags, Put, ReadBalance, Remove
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
    foreign_key,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_videodb.holds.rules.claiming import ClaimResult
    from airflow_provider_videodb.holds.rules.steps import Step

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


class TestDisturbedClaim:
    """What goes wrong between the flag and the decision opens no gate, and the flag comes down."""

    #: The calls of the store after the flag is up: write h, list, delete w.
    AFTER_THE_FLAG = (4, 5, 6)

    @pytest.mark.parametrize(
        "error", [VideoDBServerError("VideoDB is down."), KeyboardInterrupt(), SystemExit(1), RuntimeError("a bug")]
    )
    def test_balance_that_cannot_be_read_takes_the_flag_down(self, world: World, error: BaseException) -> None:
        reads = itertools.count(1)

        def read_balance() -> Decimal:
            if next(reads) == 2:
                raise error
            return Decimal(100)

        ledger = Ledger(ACCOUNT, store=world.store(), me=Identity.of(A, settlement_ms=0), read_balance=read_balance)
        with pytest.raises(type(error)) as caught:
            ledger.run(claim_credits(claim_of(A, 75)))

        assert caught.value is error
        assert world.shown() == ["w 75"]

    @pytest.mark.parametrize("error", [VideoDBRecordNotKeptError("no"), KeyboardInterrupt(), SystemExit(1)])
    @pytest.mark.parametrize("is_done", [True, False])
    @pytest.mark.parametrize("nth", AFTER_THE_FLAG)
    def test_store_that_fails_takes_the_flag_down(
        self, world: World, nth: int, is_done: bool, error: BaseException
    ) -> None:
        store = world.store()
        store.raise_at(nth, error, is_done=is_done)
        with pytest.raises(type(error)) as caught:
            world.claim(A, 75, store=store)

        assert caught.value is error
        assert not [one for one in world.flags() if one.kind is Kind.HELD]
        assert world.available() == 100
        assert world.claim(A.next_try(), 75).is_held
        assert world.shown() == ["h 75"]

    @pytest.mark.parametrize("nth", [1, 2, 3])
    def test_store_that_fails_before_the_flag_opens_nothing(self, world: World, nth: int) -> None:
        store = world.store()
        store.raise_at(nth, VideoDBRecordUnreadableError("no"))

        with pytest.raises(VideoDBRecordUnreadableError):
            world.claim(A, 75, store=store)

        assert world.shown() == (["w 75"] if nth == 3 else [])

    @pytest.mark.parametrize("error", [VideoDBServerError("VideoDB is down."), KeyboardInterrupt()])
    def test_first_error_is_raised_if_the_flag_stays_up(self, world: World, error: BaseException) -> None:
        store = world.store()
        store.raise_at(5, error)
        store.raise_at(6, VideoDBRecordNotKeptError("no"))

        with pytest.raises(type(error)) as caught:
            world.claim(A, 75, store=store)

        assert caught.value is error
        # It keeps others out until the same try, the next one, or the end of the run removes it.
        assert world.shown() == ["h 75", "w 75"]
        assert not world.may_start(26)
        assert world.claim(A, 75).is_held
        assert world.shown() == ["h 75"]

    def test_flag_that_stays_up_falls_with_the_run(self, world: World) -> None:
        store = world.store()
        store.raise_at(5, VideoDBServerError("VideoDB is down."))
        store.raise_at(6, VideoDBRecordNotKeptError("no"))
        with pytest.raises(VideoDBServerError):
            world.claim(A, 75, store=store)

        settles(world)

        assert world.flags() == []

    def test_flag_that_cannot_be_taken_down_is_an_error(self, world: World) -> None:
        store = world.store()
        store.before[4] = lambda: world.put(flag(Kind.HELD, B, 90), text_of(B))
        store.raise_at(6, VideoDBRecordNotKeptError("no"))

        with pytest.raises(VideoDBRecordNotKeptError):
            world.claim(A, 75, store=store)

    def test_gate_that_comes_at_the_same_time_closes_both(self, world: World) -> None:
        store = world.store()
        store.before[4] = lambda: world.put(flag(Kind.HELD, B, 90), text_of(B))

        result = world.claim(A, 75, store=store)

        assert (result.is_held, result.was_contended) == (False, True)
        assert (result.seen.place, result.seen.waiting) == (1, 1)
        assert world.shown() == ["h 90", "w 75"]

    def test_balance_that_falls_meanwhile_closes_the_gate(self, world: World) -> None:
        store = world.store()
        store.before[4] = lambda: setattr(world, "balance", 74)

        assert not world.claim(A, 75, store=store).is_held
        assert world.shown() == ["w 75"]

    def test_release_by_hand_meanwhile_closes_the_gate(self, world: World) -> None:
        """Its flag would be hidden by the release, so another gate could count on the same credits."""
        store = world.store()
        store.after[4] = lambda: world.release(A)
        assert not world.claim(A, 75, store=store).is_held

        world.now_ms += SETTLEMENT + 1
        assert world.claim(A, 75).is_held
        assert world.shown() == ["h 75"]
        world.collect()
        assert not world.may_start(26)

    def test_release_that_has_just_begun_closes_the_gate(self, world: World) -> None:
        store = world.store()
        store.after[4] = lambda: world.put(flag(Kind.RELEASED, A, 75, ms=START + SETTLEMENT), text_of(A))

        assert not world.claim(A, 75, store=store).is_held

    def test_gate_that_has_begun_to_open_lets_nobody_pass(self, world: World) -> None:
        """Who is next was decided before. Only what is held may close it again."""
        store = world.store()
        store.after[4] = lambda: waits(world, B, 90, priority=1)

        assert world.claim(A, 75, store=store).is_held

    def test_removal_by_hand_meanwhile_closes_the_gate(self, world: World) -> None:
        store = world.store()
        store.after[4] = lambda: [world.kept.pop(one.key) for one in world.flags() if one.kind is Kind.HELD]

        assert not world.claim(A, 75, store=store).is_held
        assert world.shown() == ["w 75"]

    def test_steps_that_nobody_carries_out_end(self) -> None:
        steps = claim_credits(claim_of(A, 75))
        next(steps)
        steps.send(View(flags=(), listed_at=START))
        steps.send(None)
        steps.send(View(flags=(), listed_at=START))
        assert isinstance(steps.send(Decimal(100)), Put)

        steps.close()


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


def test_account_without_holds_is_as_it_was(world: World) -> None:
    assert world.claim(A, 75).is_held
    world.release(A)
    settles(world)

    assert all(key.startswith("videodb/holds-journal/") for key in world.kept)
    assert replace(world, kept={}).may_start(100)
