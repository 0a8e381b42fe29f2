"""The faults of the checkout list: changed, hidden and foreign entries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.values import whole_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ListEntry = dict[str, Any]

_MOST_READS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ListFault:
    """
    A wrong entry in the list. Offset 0 starts a new read of the list.

    :param shown: raw JSON fields that replace those of the entry. None hides the entry.
    :param times: how many reads are wrong. None keeps the fault until it is cleared.
    :param skip: how many reads are right before.
    """

    shown: Mapping[str, Any] | None
    times: int | None
    skip: int


class ListFaults:
    """The active faults of the list, at most one per checkout."""

    def __init__(self) -> None:
        self._faults: dict[str, ListFault] = {}
        self._reads: dict[str, int] = {}
        self._foreign: list[ListEntry] = []

    def show_as(self, checkout_id: str, fields: Mapping[str, Any], *, times: int | None, skip: int) -> None:
        """Replace fields of an entry. This replaces an earlier fault."""
        if not fields:
            raise InvalidValueError("fields must name at least one field of the entry, such as status")
        self._put(checkout_id, _raw(fields), times, skip)

    def hide(self, checkout_id: str, *, times: int | None, skip: int) -> None:
        """Hide an entry. This replaces an earlier fault."""
        self._put(checkout_id, None, times, skip)

    def add_foreign(self, entry: Mapping[str, Any]) -> None:
        """Add an entry without a checkout to the top."""
        self._foreign.insert(0, _raw(entry))

    def clear(self) -> None:
        """Remove every fault of the list."""
        self._faults.clear()
        self._foreign.clear()

    def begin_read(self) -> None:
        """Count a read of the list."""
        for checkout_id, fault in list(self._faults.items()):
            self._reads[checkout_id] += 1
            if fault.times is not None and self._reads[checkout_id] > fault.skip + fault.times:
                del self._faults[checkout_id]

    def apply(self, entries: Sequence[ListEntry]) -> list[ListEntry]:
        """Return the entries with the faults applied."""
        shown = (self._shown(entry) for entry in entries)
        return [*self._foreign, *(entry for entry in shown if entry is not None)]

    def _put(self, checkout_id: str, shown: ListEntry | None, times: int | None, skip: int) -> None:
        self._faults[checkout_id] = ListFault(
            shown=shown,
            times=None if times is None else whole_of("times", times, at_least=1, at_most=_MOST_READS),
            skip=whole_of("skip", skip, at_least=0, at_most=_MOST_READS),
        )
        self._reads[checkout_id] = 0

    def _shown(self, entry: ListEntry) -> ListEntry | None:
        fault = self._faults.get(entry["id"])
        if fault is None or self._reads[entry["id"]] <= fault.skip:
            return entry
        return None if fault.shown is None else {**entry, **fault.shown}


def _raw(fields: Mapping[str, Any]) -> ListEntry:
    try:
        copy: ListEntry = json.loads(json.dumps(fields))
    except (TypeError, ValueError):
        raise InvalidValueError("the fields of an entry must be JSON") from None
    return copy
