"""
The journal of holds that have ended.

A note says who held how much, from when to when, what was spent, and who released it. The journal keeps each note for
30 days. Gates do not list the keys of notes, so the journal does not slow them down.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from airflow_provider_videodb.holds.identity import Identity
    from airflow_provider_videodb.holds.rules.records import Flag
    from airflow_provider_videodb.holds.store import HoldStore

#: All notes of all accounts begin with this.
PREFIX = "videodb/holds-journal/"
#: How long a note is kept, in milliseconds.
KEPT_MS = 30 * 24 * 3600 * 1000
_FORMAT = 1
#: How many old notes one release deletes at most, so that it does not take long.
_DELETED_AT_ONCE = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """
    A hold that has ended.

    :param ended_ms: milliseconds since 1970.
    :param fields: what is known of it, as JSON values.
    """

    account: str
    ended_ms: int
    owner: tuple[str, str]
    fields: dict[str, Any]


def write_note(
    store: HoldStore, flag: Flag, who: Identity | None, *, now_ms: int, spent: Decimal | None, why: str
) -> None:
    """
    Write a note, and delete notes that are too old.

    :param now_ms: milliseconds since 1970.
    :param spent: credits; ``None`` if unknown.
    :param why: who released the hold.
    """
    fields = {
        "format": _FORMAT,
        "credits": to_json_number(flag.credits),
        "spent": None if spent is None else to_json_number(spent),
        "held_since_ms": flag.ms,
        "released_by": why,
        "dag_id": None if who is None else who.dag_id,
        "run_id": None if who is None else who.run_id,
        "task_id": None if who is None else who.task_id,
        "map_index": None if who is None else who.map_index,
    }
    store.write(f"{PREFIX}{flag.account}/{now_ms}/{flag.holder}/{flag.try_id}", json.dumps(fields))
    # A failure here must not keep the hold from ending. The next release deletes what is left.
    with suppress(VideoDBError):
        notes = _keys_of(store, flag.account)
        for key in [key for (_, ended_ms, _, _), key in notes if ended_ms < now_ms - KEPT_MS][:_DELETED_AT_ONCE]:
            store.delete(key)


def read_notes(store: HoldStore, account: str | None, *, since_ms: int) -> Iterator[Note]:
    """
    Return notes, the oldest first.

    Two processes that release one hold at the same time may both write a note. The first note counts.

    :param account: ``None`` stands for all accounts.
    :param since_ms: milliseconds since 1970.
    """
    seen: set[tuple[str, str, str]] = set()
    for (name, ended_ms, holder, try_id), key in _keys_of(store, account):
        is_repeated = (name, holder, try_id) in seen
        seen.add((name, holder, try_id))
        if is_repeated or ended_ms < since_ms:
            continue
        try:
            fields = dict(json.loads(store.read(key) or ""))
        except (ValueError, TypeError, RecursionError):
            continue
        yield Note(account=name, ended_ms=ended_ms, owner=(holder, try_id), fields=fields)


def _keys_of(store: HoldStore, account: str | None) -> list[tuple[tuple[str, int, str, str], str]]:
    """Return the parsed keys of notes, the oldest first."""
    keys = store.list(PREFIX if account is None else f"{PREFIX}{account}/").keys
    found = [(parts, key) for key in keys if (parts := _parse(key)) is not None]
    # SQLite and MySQL do not tell capitals apart in a prefix.
    own = [(parts, key) for parts, key in found if account in (None, parts[0])]
    return sorted(own, key=lambda note: (note[0][1], note[1]))


def _parse(key: str) -> tuple[str, int, str, str] | None:
    parts = key.removeprefix(PREFIX).split("/")
    if len(parts) != 4 or not (parts[1].isascii() and parts[1].isdecimal()):
        return None
    return parts[0], int(parts[1]), parts[2], parts[3]
