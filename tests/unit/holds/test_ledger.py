"""How steps are carried out, and what a ledger knows of those who hold credits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import PREFIX, Kind
from airflow_provider_videodb.holds.rules.steps import IsEarlier, IsOver, IsUnused, ListFlags, Put, ReadBalance, Remove
from airflow_provider_videodb.holds.store import VariableStore
from tests.support.holds import START, Task, World, flag, text_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from airflow_provider_videodb.holds.rules.steps import Step

A, B = Task(dag_id="a", run_id="ra"), Task(dag_id="b", run_id="rb")


def test_result_of_each_step_is_sent_back(world: World) -> None:
    def steps() -> Generator[Step, Any, list[Any]]:
        return [(yield ReadBalance()), (yield Put(flag(Kind.HELD, A))), (yield ListFlags())]

    balance, put, view = world.ledger(A).run(steps())

    assert (balance, put, view.flags, view.listed_at) == (100, None, (flag(Kind.HELD, A),), START)


def test_steps_may_end_at_once(world: World) -> None:
    def steps() -> Generator[Step, Any, str]:
        yield from ()
        return "done"

    assert world.ledger().run(steps()) == "done"


def test_error_of_a_step_is_raised_inside_the_steps(world: World) -> None:
    store = world.store()
    store.raise_at(1, VideoDBRecordUnreadableError("no"))

    def steps() -> Generator[Step, Any, str]:
        try:
            yield ListFlags()
        except VideoDBRecordUnreadableError:
            yield Put(flag(Kind.HELD, A))
        return "tidied up"

    assert world.ledger(A, store=store).run(steps()) == "tidied up"
    assert world.shown() == ["h 10"]


def test_error_that_ends_the_steps_is_raised(world: World) -> None:
    def steps() -> Generator[Step, Any, None]:
        try:
            yield ReadBalance()
        except RuntimeError:
            return

    assert Ledger("a", store=world.store()).run(steps()) is None
    with pytest.raises(RuntimeError, match="has no account at VideoDB"):
        Ledger("a", store=world.store()).do(ReadBalance())


def test_step_that_is_unknown_is_an_error(world: World) -> None:
    with pytest.raises(AssertionError):
        world.ledger().do("look")  # type: ignore[arg-type]


def test_key_that_is_too_long_is_not_written(world: World) -> None:
    with pytest.raises(VideoDBConfigError):
        world.ledger(A).do(Put(flag(Kind.HELD, A, "0." + "1" * 250)))

    assert world.kept == {}


class TestView:
    def test_account_shows_its_own_flags_only(self, world: World) -> None:
        """As SQLite and MySQL list them, which do not tell capitals apart in a prefix."""
        shared = flag(Kind.HELD, A)
        listed = {shared.key: "", shared.key.replace("/shared/", "/Shared/"): "", f"{PREFIX}shared/notes": ""}
        world.kept |= listed
        store = world.store()
        store.list = lambda prefix: type(world.store()).list(store, "")  # type: ignore[method-assign]

        assert world.ledger(store=store).view().flags == (shared,)
        assert len(Ledger(None, store=store).view().flags) == 2

    def test_two_connections_of_one_account_share_its_flags(self, world: World) -> None:
        assert world.claim(A, 75).is_held

        assert not world.claim(B, 26).is_held
        assert Ledger("other", store=world.store()).view().flags == ()

    def test_clock_is_read_before_the_listing(self, world: World) -> None:
        store = world.store()
        store.before[1] = lambda: setattr(world, "now_ms", START + 5)

        assert world.ledger(store=store).view().listed_at == START

    def test_clock_and_store_are_real_unless_given(self) -> None:
        ledger = Ledger("a")

        assert isinstance(ledger.store, VariableStore)
        assert ledger.now_ms() > START - 10**11


class TestWho:
    def test_holder_is_read_once(self, world: World) -> None:
        store = world.store()
        world.put(flag(Kind.HELD, A), text_of(A))
        ledger = world.ledger(store=store)

        assert str(ledger.who(flag(Kind.HELD, A))) == "DAG a, run ra, task gate"
        assert ledger.who(flag(Kind.HELD, A)) == ledger.who(flag(Kind.RELEASED, A))
        assert len(store.calls) == 1

    def test_flag_that_was_removed_meanwhile_is_read_again(self, world: World) -> None:
        """Its holder may show up with another flag."""
        ledger = world.ledger()
        assert ledger.who(flag(Kind.WAITING, A)) is None

        world.put(flag(Kind.HELD, A), text_of(A))

        assert ledger.who(flag(Kind.HELD, A)) is not None

    @pytest.mark.parametrize("text", ["", "mine!", "{}", text_of(B)])
    def test_overwritten_value_is_nobody(self, world: World, text: str) -> None:
        world.put(flag(Kind.HELD, A), text)

        assert world.ledger().who(flag(Kind.HELD, A)) is None

    def test_flag_of_an_unknown_holder_is_released_namelessly(self, world: World) -> None:
        held = world.put(flag(Kind.HELD, A), "mine!")
        released = flag(Kind.RELEASED, A)

        world.ledger().do(Put(released, like=held))

        assert world.kept[released.key] == "{}"

    def test_ledger_of_nobody_puts_up_nameless_flags(self, world: World) -> None:
        world.ledger().do(Put(flag(Kind.PAUSED, None, 0)))

        assert list(world.kept.values()) == ["{}"]


class TestIsOver:
    def ask(self, world: World, kind: Kind, **options: Any) -> bool:
        world.put(flag(kind, A), text_of(A))
        ledger = Ledger("shared", store=world.store(), **options)
        return bool(ledger.do(IsOver(flag(kind, A))))

    @pytest.mark.parametrize("kind", [Kind.HELD, Kind.WAITING])
    def test_end_of_the_run_ends_every_flag(self, world: World, kind: Kind) -> None:
        assert not self.ask(world, kind)

        world.airflow.ended.add("ra")

        assert self.ask(world, kind)

    @pytest.mark.parametrize(("kind", "is_over"), [(Kind.HELD, False), (Kind.WAITING, True)])
    def test_end_of_the_task_ends_its_wait_only(self, world: World, kind: Kind, is_over: bool) -> None:
        world.airflow.states["ra"] = {"gate": "failed"}

        assert self.ask(world, kind) is is_over

    def test_nobody_is_asked_too_often(self, world: World) -> None:
        world.airflow.ended.add("ra")

        assert not self.ask(world, Kind.HELD, may_ask=lambda _: False)
        assert world.airflow.asked == []


class TestEarlierTry:
    @pytest.mark.parametrize(("number", "is_earlier"), [(1, True), (2, False), (3, False)])
    def test_number_of_the_try_says_which_is_older(self, world: World, number: int, is_earlier: bool) -> None:
        other = Task(dag_id="a", try_number=number)
        world.put(flag(Kind.HELD, other), text_of(other))

        assert world.ledger(Task(dag_id="a", try_number=2)).do(IsEarlier(flag(Kind.HELD, other))) is is_earlier

    def test_unknown_is_not_earlier(self, world: World) -> None:
        world.put(flag(Kind.HELD, A), "mine!")
        assert not world.ledger(A.next_try()).do(IsEarlier(flag(Kind.HELD, A)))

        world.put(flag(Kind.HELD, A), text_of(A))
        assert not world.ledger().do(IsEarlier(flag(Kind.HELD, A)))

    def test_ledger_without_a_gate_calls_nothing_unused(self, world: World) -> None:
        assert Ledger("a", store=world.store()).do(IsUnused(flag(Kind.HELD, A))) is False


def test_flag_that_is_gone_is_removed_again(world: World) -> None:
    world.ledger().do(Remove(flag(Kind.HELD, A)))

    assert world.kept == {}
    assert world.ledger().do(ReadBalance()) == Decimal(100)
