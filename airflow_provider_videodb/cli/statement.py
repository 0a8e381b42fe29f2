"""Says who held credits and what they spent. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_decimal, to_json_number
from airflow_provider_videodb.holds.rules.messages import moment, number
from airflow_provider_videodb.overview.text import to_age, to_blocks, to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.holds.journal import Note

_HEAD = ("ACCOUNT", "CREDITS", "SPENT", "FROM", "TO", "HELD FOR")
_NOT_GIVEN = "not given"


def note_to_dict(note: Note) -> dict[str, Any]:
    """Return the JSON form; ``None`` for each unreadable field."""
    credits, spent = _credits(note, "credits"), _credits(note, "spent")
    since = _since_ms(note)
    return {
        "account": note.account,
        "credits": None if credits is None else to_json_number(credits),
        "spent": None if spent is None else to_json_number(spent),
        "held_from": None if since is None else to_iso(since),
        "held_until": to_iso(note.ended_ms),
        "held_seconds": None if since is None else max(0, note.ended_ms - since) // 1000,
        "dag_id": note.fields.get("dag_id"),
        "run_id": note.fields.get("run_id"),
        "task_id": note.fields.get("task_id"),
        "map_index": note.fields.get("map_index"),
        "how_it_ended": note.fields.get("released_by"),
    }


def describe_notes(notes: Sequence[Note]) -> list[str]:
    """Return the lines of the journal and the sum."""
    credits = [_credits(note, "credits") or Decimal(0) for note in notes]
    spent = [one for note in notes if (one := _credits(note, "spent")) is not None]
    missing = len(notes) - len(spent)
    total = f"{len(notes)} hold{'' if len(notes) == 1 else 's'} of {number(sum(credits, Decimal(0)))} credits"
    if spent:
        total += f", {number(sum(spent, Decimal(0)))} spent"
    if missing:
        total += f"; {missing} did not say what was spent" if spent else "; nobody said what was spent"
    return [*to_blocks(_HEAD, [_row(note) for note in notes]), "", f"{total}."]


def _row(note: Note) -> tuple[list[object], list[str]]:
    credits, spent, since = _credits(note, "credits"), _credits(note, "spent"), _since_ms(note)
    fields = note.fields
    map_index = fields.get("map_index")
    place = f" [{map_index}]" if isinstance(map_index, int) and map_index >= 0 else ""
    who = "by a task that the record does not name"
    if fields.get("dag_id"):
        who = f"DAG {fields['dag_id']}, run {fields.get('run_id')}, task {fields.get('task_id')}{place}"
    cells: list[object] = [
        note.account,
        None if credits is None else number(credits),
        _NOT_GIVEN if spent is None else number(spent),
        None if since is None else moment(since),
        moment(note.ended_ms),
        None if since is None else to_age(note.ended_ms - since),
    ]
    return cells, [who, f"ended by: {fields.get('released_by') or 'unknown'}"]


def _credits(note: Note, name: str) -> Decimal | None:
    try:
        return to_decimal(note.fields.get(name))
    except ValueError:
        return None


def _since_ms(note: Note) -> int | None:
    since = note.fields.get("held_since_ms")
    return since if isinstance(since, int) and 0 < since <= note.ended_ms else None
