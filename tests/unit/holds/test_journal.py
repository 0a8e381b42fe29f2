"""The journal: one note per hold that has ended, kept for 30 days."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.journal import KEPT_MS, PREFIX, Note, read_notes, write_note
from airflow_provider_videodb.holds.rules.records import PREFIX as HOLDS
from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.holds import ACCOUNT, SETTLEMENT, START, ModelStore, Task, flag

A = Task(dag_id="a", run_id="ra", map_index=4)


def note(
    store: ModelStore, task: Task = A, *, now_ms: int = START, spent: str | None = None, why: str = "the teardown"
) -> None:
    who = Identity.of(task, settlement_ms=SETTLEMENT)
    amount = None if spent is None else Decimal(spent)
    write_note(store, flag(Kind.HELD, task, 75, ms=START - 99), who, now_ms=now_ms, spent=amount, why=why)


def notes(store: ModelStore, account: str | None = ACCOUNT, *, since_ms: int = 0) -> list[Note]:
    return list(read_notes(store, account, since_ms=since_ms))


@pytest.mark.parametrize(("spent", "noted"), [(None, None), ("0", 0), ("30", 30), ("7.5", 7.5)])
def test_note_says_who_held_how_much(spent: str | None, noted: float | None) -> None:
    store = ModelStore()
    note(store, spent=spent)

    (one,) = notes(store)

    assert (one.account, one.ended_ms, one.owner) == (ACCOUNT, START, (A.holder, A.try_id))
    assert one.fields == {
        "format": 1,
        "credits": 75,
        "spent": noted,
        "held_since_ms": START - 99,
        "released_by": "the teardown",
        "dag_id": "a",
        "run_id": "ra",
        "task_id": "gate",
        "map_index": 4,
    }


def test_note_of_an_unknown_holder_has_no_name() -> None:
    store = ModelStore()
    write_note(store, flag(Kind.HELD, A, 75), None, now_ms=START, spent=None, why="a person")

    assert {notes(store)[0].fields[name] for name in ("dag_id", "run_id", "task_id", "map_index")} == {None}


def test_notes_are_outside_the_flags() -> None:
    store = ModelStore()
    note(store)

    assert all(key.startswith(PREFIX) and not key.startswith(HOLDS) and len(key) <= 250 for key in store.kept)


def test_first_note_of_a_hold_counts() -> None:
    store = ModelStore()
    note(store, now_ms=START + 5, why="the end of the DAG run")
    note(store, now_ms=START)

    assert [one.fields["released_by"] for one in notes(store)] == ["the teardown"]
    # It is not repeated either where the first one is too old to be shown.
    assert notes(store, since_ms=START + 1) == []


def test_holds_of_two_tries_have_two_notes() -> None:
    store = ModelStore()
    note(store, now_ms=START + 5)
    note(store, A.next_try(), now_ms=START)

    assert [one.ended_ms for one in notes(store)] == [START, START + 5]


def test_notes_can_be_read_since_a_moment() -> None:
    store = ModelStore()
    for number in range(4):
        note(store, Task(dag_id=f"{number}"), now_ms=START + number)

    assert [one.ended_ms for one in notes(store, since_ms=START + 2)] == [START + 2, START + 3]


def test_accounts_have_their_own_notes() -> None:
    store = ModelStore()
    note(store)
    for key in list(store.kept):
        store.kept[key.replace("/shared/", "/other/")] = store.kept[key]

    assert [one.account for one in notes(store)] == ["shared"]
    assert sorted(one.account for one in notes(store, None)) == ["other", "shared"]


def test_notes_of_a_namesake_in_capitals_are_not_shown() -> None:
    """SQLite and MySQL do not tell capitals apart in a prefix."""
    store = ModelStore()
    note(store)
    (key,) = store.kept
    store.kept[key.replace("/shared/", "/SHARED/")] = store.kept[key]
    listed = store.list("")
    store.list = lambda _: listed  # type: ignore[method-assign]

    assert [one.account for one in notes(store)] == ["shared"]


def test_old_notes_are_deleted_twenty_at_a_time() -> None:
    store = ModelStore()
    for number in range(45):
        note(store, Task(dag_id=f"{number}"), now_ms=START + number)
    store.kept[f"{PREFIX}shared/notes"] = "by hand"
    later = START + KEPT_MS + 45

    for left in (25 + 1, 5 + 2, 3):
        note(store, Task(dag_id=f"later {left}"), now_ms=later)
        assert len(notes(store)) == left
    assert f"{PREFIX}shared/notes" in store.kept


@pytest.mark.parametrize("nth", [2, 3])
def test_old_note_that_stays_does_not_stop_a_release(nth: int) -> None:
    store = ModelStore()
    note(store)
    again = ModelStore(store.kept)
    again.raise_at(nth, VideoDBRecordNotKeptError("no"))

    note(again, Task(dag_id="later"), now_ms=START + KEPT_MS + 1)

    assert len(notes(store)) == 2
    note(store, Task(dag_id="later"), now_ms=START + KEPT_MS + 1)
    assert len(notes(store)) == 1


def test_note_that_is_not_written_is_an_error() -> None:
    store = ModelStore()
    store.raise_at(1, VideoDBRecordNotKeptError("no"))

    with pytest.raises(VideoDBRecordNotKeptError):
        note(store)


def test_note_is_kept_for_thirty_days() -> None:
    store = ModelStore()
    note(store)
    note(store, Task(dag_id="later"), now_ms=START + KEPT_MS)
    assert len(notes(store)) == 2

    note(store, Task(dag_id="latest"), now_ms=START + KEPT_MS + 1)
    assert len(notes(store)) == 2


@pytest.mark.parametrize("text", ["", "mine!", "null", "5", "[1]"])
def test_overwritten_note_is_left_out(text: str) -> None:
    store = ModelStore()
    note(store)
    note(store, Task(dag_id="other"))
    store.kept[next(key for key in store.kept if A.holder in key)] = text

    assert [one.fields["dag_id"] for one in notes(store)] == ["other"]


@pytest.mark.parametrize("rest", ["notes", "1/2", "1/h/t/more", "x/h/t", "\u0661/h/t", "-1/h/t", "²/h/t", "/h/t"])
def test_foreign_key_is_not_a_note(rest: str) -> None:
    store = ModelStore({f"{PREFIX}shared/{rest}": "{}"})
    note(store)

    assert len(notes(store)) == 1
