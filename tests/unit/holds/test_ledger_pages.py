"""A listing that is longer than one page is read to its end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from airflow_provider_videodb.holds.store import Listing


def flag_of(number: int, account: str = "a") -> Flag:
    return Flag(account=account, holder=f"{number:05}.-1", try_id="t", kind=Kind.HELD, credits=Decimal(1), ms=1)


class PagedStore:
    """A store that returns `size` keys at a time; `between` happens after each listing."""

    def __init__(self, flags: list[Flag], size: int) -> None:
        self.keys = sorted(flag.key for flag in flags)
        self.size = size
        self.listings = 0
        self.removed_per_listing = 0

    def list(self, prefix: str, *, offset: int = 0) -> Listing:
        # As SQLite and MySQL list them: they do not tell capitals apart in a prefix.
        found = [key for key in self.keys if key.lower().startswith(prefix.lower())][offset : offset + self.size]
        self.listings += 1
        self.keys = self.keys[self.removed_per_listing :]
        return Listing(tuple(found), is_complete=len(found) < self.size)


@pytest.mark.parametrize("count", [0, 1, 149, 150, 151, 500])
def test_pages_show_all_flags_once(count):
    flags = [flag_of(number) for number in range(count)]
    view = Ledger(None, store=PagedStore(flags, 150), now=lambda: 7.0).pages()
    assert list(view.flags) == flags
    assert view.is_complete
    assert view.listed_at == 7000


def test_flags_that_are_removed_meanwhile_hide_no_others():
    flags = [flag_of(number) for number in range(1000)]
    store = PagedStore(flags, 300)
    store.removed_per_listing = 100
    assert list(Ledger(None, store=store).pages().flags) == flags
    assert store.listings > 3


def test_pages_of_one_account_show_its_flags_only():
    flags = [flag_of(1), flag_of(2, account="B"), flag_of(3, account="b")]
    assert list(Ledger("b", store=PagedStore(flags, 150)).pages().flags) == flags[2:]


def test_accounts_that_differ_in_capitals_are_apart():
    flags = [flag_of(1, account="Prod"), flag_of(2, account="prod")]
    ledger = Ledger("prod", store=PagedStore(flags, 150))
    assert list(ledger.view().flags) == flags[1:]
    assert list(ledger.pages().flags) == flags[1:]


def test_page_smaller_than_the_overlap_is_no_endless_loop():
    flags = [flag_of(number) for number in range(5)]
    assert list(Ledger(None, store=PagedStore(flags, 2)).pages().flags) == flags
