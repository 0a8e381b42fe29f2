"""Unwraps VideoDB's responses and reads their lists page by page. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_videodb.api.models import Checkout, Invoice
from airflow_provider_videodb.api.parsing import unreadable
from airflow_provider_videodb.exceptions import VideoDBResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

#: A list with more pages is treated as endless.
_MAX_PAGES = 1000
#: A list with more entries is treated as endless as well, because a page may be large.
_MAX_ENTRIES = 200_000
#: A list also ends with this number of pages in a row without a new entry.
_STALE_PAGES_AT_END = 2
_EPOCH = datetime.fromtimestamp(0, UTC)

Entry = TypeVar("Entry", Checkout, Invoice)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Entry]):
    """
    One page of a list.

    :param length: the number of entries that the server sent.
    :param entries: the entries by their keys, see :func:`page_of`.
    """

    length: int
    entries: Mapping[Hashable, Entry]


def unwrapped(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    Return the object that carries the fields.

    It is ``data`` in one dialect and the response itself in the other.
    """
    data = response.get("data")
    if data is None:
        return response
    if not isinstance(data, Mapping):
        raise unreadable("data", data, "an object")
    return data


def items_of(response: Mapping[str, Any], sample_name: str) -> list[object]:
    """
    Return the entries of a list.

    They are in ``data`` in one dialect and in the field ``sample_name`` in the other.
    """
    data = response.get("data")
    items = data if isinstance(data, list) else unwrapped(response).get(sample_name)
    if not isinstance(items, list):
        raise unreadable(f"data / {sample_name}", items, "a list")
    return items


def page_of(items: list[object], read: Callable[[object], Entry]) -> Page[Entry]:
    """
    Read the entries of one page.

    The key of an entry is its id. The key of an entry without an id is its whole text and a count, because two equal
    entries on one page are two entries.
    """
    entries: dict[Hashable, Entry] = {}
    alike: Counter[str] = Counter()
    for item in items:
        entry = read(item)
        key: Hashable = entry.id
        if entry.id is None:
            spelt = json.dumps(item, sort_keys=True, default=str)
            alike[spelt] += 1
            key = (spelt, alike[spelt])
        entries[key] = entry
    return Page(length=len(items), entries=entries)


def whole_list(first_page: Page[Entry], read_page: Callable[[int], Page[Entry]], *, what: str) -> dict[Hashable, Entry]:
    """
    Read a list to its end, page by page.

    VideoDB does not document the order of a list, so only the whole list shows which entries are the newest. It does
    not document the largest page either. A short page is therefore not the end, but pages without new entries are.

    :param read_page: reads the page at an offset.
    :param what: the name of the list, for the error.
    :raises VideoDBResponseError: if the list does not end.
    """
    # A list that grows while it is read shows entries again. The keys merge them.
    entries: dict[Hashable, Entry] = {}
    offset, stale_pages = 0, 0
    for number in range(_MAX_PAGES):
        page = read_page(offset) if number else first_page
        # One page of known entries may follow when the list has grown by a page. A second one comes from a server that
        # ignores the offset.
        stale_pages = stale_pages + 1 if page.entries.keys() <= entries.keys() else 0
        entries.update(page.entries)
        offset += page.length
        if not page.length or stale_pages == _STALE_PAGES_AT_END:
            return entries
        if len(entries) > _MAX_ENTRIES:
            break
    raise VideoDBResponseError(
        f"GET {what} still shows new entries after {number + 1} pages and {len(entries)} entries. "
        "Next step: ask VideoDB's support about paging."
    )


def begins_with_newest(entries: Iterable[Checkout]) -> bool:
    """
    Say whether the dates on a page run from new to old.

    Entries without a date are skipped. A page without any date proves no order.
    """
    dates = [entry.created_at for entry in entries]
    known = [date for date in dates if date is not None]
    return known == sorted(known, reverse=True) and bool(known or not dates)


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries by date, those without one last."""
    return sorted(entries, key=lambda entry: entry.created_at or _EPOCH, reverse=True)
