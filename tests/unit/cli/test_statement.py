"""The journal, for people and for programs."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.cli.statement import describe_notes, note_to_dict
from airflow_provider_videodb.holds.journal import Note

NOW = 1_795_564_800_000
FIELDS = {
    "credits": 50,
    "spent": 37.5,
    "held_since_ms": NOW - 3_600_000,
    "released_by": "the end of the DAG run",
    "dag_id": "d",
    "run_id": "r",
    "task_id": "t",
    "map_index": -1,
}


def note(**fields):
    return Note(account="a", ended_ms=NOW, owner=("h", "t"), fields=FIELDS | fields)


def test_note_has_numbers_as_numbers_and_moments_in_utc():
    assert note_to_dict(note()) == {
        "account": "a",
        "credits": 50,
        "spent": 37.5,
        "held_from": "2026-11-24T23:00:00Z",
        "held_until": "2026-11-25T00:00:00Z",
        "held_seconds": 3600,
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "how_it_ended": "the end of the DAG run",
    }


def test_line_says_who_held_how_much_until_when_and_why_it_ended():
    _, row, *below = describe_notes([note()])
    assert " ".join(row.split()) == "a 50 37.5 2026-11-24 23:00:00 UTC 2026-11-25 00:00:00 UTC 1 h"
    assert below[:2] == ["  DAG d, run r, task t", "  ended by: the end of the DAG run"]


@pytest.mark.parametrize(
    ("spent", "total"),
    [
        ([10, 5.5], "2 holds of 100 credits, 15.5 spent."),
        ([10, None], "2 holds of 100 credits, 10 spent; 1 did not say what was spent."),
        ([None], "1 hold of 50 credits; nobody said what was spent."),
    ],
)
def test_sum_says_what_is_missing(spent, total):
    assert describe_notes([note(spent=one) for one in spent])[-1] == total


def test_spending_that_nobody_gave_is_not_zero():
    assert "not given" in describe_notes([note(spent=None)])[1]
    assert note_to_dict(note(spent=None))["spent"] is None
    assert note_to_dict(note(spent=0))["spent"] == 0


def test_mapped_task_has_its_index():
    assert "task t [0]" in describe_notes([note(map_index=0)])[2]


@pytest.mark.parametrize("fields", [{}, {"credits": "many", "held_since_ms": "x"}, {"held_since_ms": NOW + 1}])
def test_broken_note_is_shown_as_far_as_it_goes(fields):
    broken = Note(account="a", ended_ms=NOW, owner=("h", "t"), fields=fields)
    assert note_to_dict(broken)["held_from"] is None
    assert note_to_dict(broken)["credits"] is None
    assert describe_notes([broken])[2:4] == ["  by a task that the record does not name", "  ended by: unknown"]
