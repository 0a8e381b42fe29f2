"""The value of a flag: who it belongs to, and what becomes of a value that somebody overwrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.holds.identity import Identity
from tests.support.holds import Task

IDENTITIES = st.builds(
    Identity,
    dag_id=st.text(),
    run_id=st.text(),
    task_id=st.text(),
    map_index=st.integers(-1, 10**6),
    try_number=st.integers(0, 10**6),
    settlement_ms=st.integers(0, 10**12),
)
WHOLE: dict[str, Any] = {
    "format": 1,
    "dag_id": "a",
    "run_id": "b",
    "task_id": "c",
    "map_index": 3,
    "try_number": 2,
    "settlement_ms": 1000,
}


@given(IDENTITIES)
def test_identity_is_read_back_from_its_text(who: Identity) -> None:
    assert Identity.from_text(who.to_text(kind="held", note="newer")) == who


def test_text_says_who_it_is() -> None:
    who = Identity.of(Task(dag_id="a", run_id="b", task_id="c", map_index=3, try_number=2), settlement_ms=1000)

    assert json.loads(who.to_text(kind="held")) == WHOLE | {"kind": "held"}
    assert who.holder == Task(dag_id="a", run_id="b", task_id="c", map_index=3).holder


@pytest.mark.parametrize("map_index", [None, -1])
def test_task_that_is_not_mapped_has_no_index(map_index: int | None) -> None:
    who = Identity.of(Task(map_index=map_index), settlement_ms=0)

    assert who.map_index == -1
    assert str(who) == "DAG dag, run run, task gate"


def test_mapped_task_is_shown_with_its_index() -> None:
    assert str(Identity.of(Task(map_index=0), settlement_ms=0)) == "DAG dag, run run, task gate [0]"


@pytest.mark.parametrize(
    "text",
    [None, "", "mine!", "null", "[]", "{}", "5", '"text"', "[[1, 2]]", '{"dag_id": "a"}', "[" * 100_000, "\ud800"]
    + [json.dumps(WHOLE | {name: value}) for name in ("map_index", "try_number") for value in (None, "x", [], 1e999)]
    + ["9" * 5000, json.dumps(WHOLE | {"settlement_ms": float("nan")})],
    ids=lambda text: repr(text)[:30],
)
def test_overwritten_text_is_nobody(text: str | None) -> None:
    assert Identity.from_text(text) is None


@given(st.text() | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps))
def test_any_text_is_somebody_or_nobody(text: str) -> None:
    assert Identity.from_text(text) is None
