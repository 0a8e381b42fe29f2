"""Claims that are disturbed in the middle."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
    VideoDBServerError,
)
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.account import View
from airflow_provider_videodb.holds.rules.claiming import claim_credits
from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.holds.rules.steps import Put
from tests.support.holds import (
    ACCOUNT,
    MINUTE,
    SETTLEMENT,
    START,
    Task,
    World,
    claim_of,
    flag,
    text_of,
)

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
