"""What VideoDB's responses have in common: the object that carries the fields, lists, and their pages. Pure."""

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

#: A list that has not ended by then is not ending.
_MAX_PAGES = 1000
#: So many pages in a row without a new entry are the end of a list, though none was empty.
_NOTHING_NEW = 2
_EPOCH = datetime.fromtimestamp(0, UTC)

Entry = TypeVar("Entry", Checkout, Invoice)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Entry]):
    """
    One page of a list.

    :param length: how many entries the server sent.
    :param entries: the entries by what tells one from the next.
    """

    length: int
    entries: Mapping[Hashable, Entry]


def unwrapped(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object that carries the fields: ``data`` in one dialect, the answer itself in the other."""
    data = answer.get("data")
    if data is None:
        return answer
    if not isinstance(data, Mapping):
        raise unreadable("data", data, "an object")
    return data


def items_of(answer: Mapping[str, Any], sample_name: str) -> list[object]:
    """Return the entries of a list: ``data`` in one dialect, a field named after them in the other."""
    data = answer.get("data")
    items = data if isinstance(data, list) else unwrapped(answer).get(sample_name)
    if not isinstance(items, list):
        raise unreadable(f"data / {sample_name}", items, "a list")
    return items


def page_of(items: list[object], read: Callable[[object], Entry]) -> Page[Entry]:
    """Read each of the entries that a server sent."""
    entries: dict[Hashable, Entry] = {}
    alike: Counter[str] = Counter()
    for item in items:
        entry = read(item)
        key: Hashable = entry.id
        if entry.id is None:
            # Without an id an entry is known by all that it says; two of a page that say the same are two.
            spelt = json.dumps(item, sort_keys=True, default=str)
            alike[spelt] += 1
            key = (spelt, alike[spelt])
        entries[key] = entry
    return Page(length=len(items), entries=entries)


def whole_list(first_page: Page[Entry], read_page: Callable[[int], Page[Entry]], *, what: str) -> dict[Hashable, Entry]:
    """
    Read a list to its end, page by page.

    The order is not documented, so only the whole list tells which entries are the newest. Neither is the largest
    page: one shorter than asked for is no proof of the end, one with nothing new is.

    :param read_page: reads the page that begins at an offset.
    :param what: names the list in an error.
    :raises VideoDBResponseError: if it does not end.
    """
    # By key, since a list that grows while it is read shows entries again.
    entries: dict[Hashable, Entry] = {}
    offset, nothing_new = 0, 0
    for number in range(_MAX_PAGES):
        page = read_page(offset) if number else first_page
        # A page of nothing but known entries is what is left to read of a list that grew by as many as a page holds;
        # a second one is a server that ignores the offset.
        nothing_new = nothing_new + 1 if page.entries.keys() <= entries.keys() else 0
        entries.update(page.entries)
        offset += page.length
        if not page.length or nothing_new == _NOTHING_NEW:
            return entries
    raise VideoDBResponseError(f"GET {what} still shows new entries after {_MAX_PAGES} pages.")


def begins_with_newest(entries: Iterable[Checkout]) -> bool:
    """Say whether a page is in order as far as its dates can be read; one that shows none proves no order."""
    dates = [entry.created_at for entry in entries]
    known = [date for date in dates if date is not None]
    return known == sorted(known, reverse=True) and bool(known or not dates)


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """Order entries by their dates; those without one come last."""
    return sorted(entries, key=lambda entry: entry.created_at or _EPOCH, reverse=True)
