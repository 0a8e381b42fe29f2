"""A list is read whole, however a server pages it."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from airflow_provider_videodb.api import client, envelope
from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.exceptions import VideoDBResponseError
from tests.support.api import client_of
from tests.support.lists import IgnoresLimit, IgnoresOffset, Ledger, entry, ids, nameless
from tests.support.raw_server import RawServer, raw_response


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(
    ("count", "cap"),
    [
        *((count, cap) for count in (0, 1, 19, 20, 21, 99, 100, 101, 250) for cap in (10_000, 100, 20)),
        *((count, 1) for count in (0, 1, 20)),
    ],
)
def test_list_is_read_whole_and_newest_first(count, cap, newest_first):
    with RawServer(Ledger(map(entry, range(count)), cap=cap, newest_first=newest_first)) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.id for checkout in checkouts] == ids(reversed(range(count)))


@pytest.mark.parametrize("kind", [IgnoresOffset, IgnoresLimit])
@pytest.mark.parametrize("count", [1, 20, 100])
def test_list_without_paging_is_read_whole(kind, count):
    with RawServer(kind(map(entry, range(count)))) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.id for checkout in checkouts] == ids(reversed(range(count)))


def test_page_may_be_longer_than_asked_for():
    with RawServer(IgnoresLimit(map(entry, range(350)))) as server:
        assert len(client_of(server).list_checkouts()) == 350


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [20, 5, 1])
def test_list_may_grow_while_it_is_read(cap, newest_first):
    numbers = itertools.count(15)

    def grow(ledger):
        if ledger.pages_read and ledger.pages_read % 2 == 1 and len(ledger.entries) < 25:
            ledger.add(next(numbers))

    with RawServer(Ledger(map(entry, range(15)), cap=cap, newest_first=newest_first, before_page=grow)) as server:
        found = [checkout.id for checkout in client_of(server).list_checkouts()]
    assert len(found) == len(set(found))
    assert set(found) >= set(ids(range(15)))


def test_entry_seen_twice_is_kept_as_seen_last():
    def pay_and_grow(ledger):
        if ledger.pages_read == 1:
            ledger.entries[0] = entry(0, status="completed")
            ledger.add(1)

    with RawServer(Ledger([entry(0)], before_page=pay_and_grow)) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.status for checkout in checkouts if checkout.id == "cs_0"] == ["completed"]


def test_endless_list_is_an_error(monkeypatch):
    monkeypatch.setattr(envelope, "_MAX_PAGES", 12)
    numbers = itertools.count()
    with (
        RawServer(lambda _: raw_response({"data": [entry(next(numbers))]})) as server,
        pytest.raises(VideoDBResponseError, match="still shows new entries after 12 pages"),
    ):
        client_of(server).list_checkouts()
    assert len(server.requests) == 12


@pytest.mark.parametrize("read", ["list_checkouts", "poll_checkouts", "list_invoices"])
def test_endless_list_of_long_pages_ends_early(monkeypatch, read):
    monkeypatch.setattr(envelope, "_MAX_ENTRIES", 50)
    numbers = itertools.count()

    def page(_):
        entries = [entry(next(numbers)) for _ in range(20)]
        return raw_response({"data": entries})

    with (
        RawServer(page) as server,
        pytest.raises(VideoDBResponseError, match="still shows new entries after 3 pages and 60 entries"),
    ):
        getattr(client_of(server), read)()
    assert len(server.requests) == 3


def test_list_that_grows_slower_than_it_is_read_ends_in_time(monkeypatch):
    monkeypatch.setattr(client, "_MAX_LIST_SECONDS", 0.3)
    numbers = itertools.count()

    def page(_):
        return server.dripping([raw_response({"data": [entry(next(numbers))]}), b""], every=0.1)

    began = time.monotonic()
    with RawServer(page) as server, pytest.raises(VideoDBResponseError, match=r"whole list within 0\.3 s"):
        client_of(server).list_checkouts()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [4]), (3, [4, 3, 2]), (50, [4, 3, 2, 1, 0]), (None, [4, 3, 2, 1, 0])]
)
def test_limit_takes_the_newest_whatever_the_order(limit, expected):
    with RawServer(Ledger(map(entry, range(5)), newest_first=False)) as server:
        checkouts = client_of(server).list_checkouts(limit)
    assert [checkout.id for checkout in checkouts] == ids(expected)


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": [entry(1)]},
        {"success": True, "checkouts": [entry(1)]},
        {"success": True, "data": {"checkouts": [entry(1)]}},
        {"success": True, "data": None, "checkouts": [entry(1)]},
        {"checkouts": [entry(1)]},
    ],
)
def test_list_is_found_in_every_dialect(body):
    with RawServer(raw_response(body)) as server:
        assert [checkout.id for checkout in client_of(server).list_checkouts()] == ["cs_1"]


@pytest.mark.parametrize(
    "body",
    [
        {"success": True},
        {"success": True, "data": None},
        {"success": True, "data": {}},
        {"success": True, "data": "none"},
        {"success": True, "data": {"cs_1": entry(1)}},
        {"success": True, "checkouts": {}},
    ],
)
def test_missing_list_is_not_an_empty_list(body):
    with RawServer(raw_response(body)) as server, pytest.raises(VideoDBResponseError, match=r"\bdata\b"):
        client_of(server).list_checkouts()


FOREIGN_ENTRIES = [
    b"null",
    b'"cs_2"',
    b"[]",
    b"{}",
    b'{"id": "cs_2", "amount": null, "currency": null, "status": null, "created_at": null}',
    b'{"id": null, "amount": 5, "currency": "usd", "status": "pending", "created_at": "2024-01-15"}',
    b'{"id": 17, "amount": "lots", "currency": 7, "status": {}, "created_at": "soon"}',
    b'{"id": "cs_2", "amount": NaN, "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "cs_2", "amount": -Infinity, "currency": "usd", "status": "pending", "created_at": 1e400}',
    b'{"id": "cs_2", "amount": 1e99999999999999999999, "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "cs_2", "amount": 1e1000000, "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "cs_2", "amount": ' + b"9" * 5000 + b', "currency": "usd", "status": "pending", "created_at": 0}',
    b'{"id": "\\ud800", "amount": 5, "currency": "\\u0000", "status": "\\udfff", "created_at": "\\u001b"}',
]


@pytest.mark.parametrize("foreign", FOREIGN_ENTRIES, ids=lambda entry: entry.decode()[:40])
@pytest.mark.parametrize("read", [BillingClient.list_checkouts, BillingClient.poll_checkouts])
def test_foreign_entry_does_not_hide_the_others(read, foreign):
    own = json.dumps(entry(1, status="completed")).encode()
    with RawServer(raw_response(b'{"success": true, "data": [' + foreign + b", " + own + b"]}")) as server:
        checkouts = read(client_of(server))
    assert len(checkouts) == 2
    assert by_id(checkouts)["cs_1"].status == "completed"
    assert by_id(checkouts)["cs_1"].unreadable == ()


@pytest.mark.parametrize("kind", [Ledger, IgnoresOffset, IgnoresLimit])
@pytest.mark.parametrize("cap", [1, 2, 3, 10_000])
@pytest.mark.parametrize("newest_first", [True, False])
def test_entries_without_id_are_not_merged(kind, cap, newest_first):
    entries = [entry(0), nameless(1), nameless(2), nameless(3, id=17), nameless(3, id=18), entry(4)]
    # A server that ignores the offset shows no more than its first page.
    cap = 10_000 if kind is IgnoresOffset else cap
    with RawServer(kind(entries, cap=cap, newest_first=newest_first)) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.amount for checkout in checkouts] == [4, 3, 3, 2, 1, 0]


@pytest.mark.parametrize("kind", [Ledger, IgnoresOffset])
def test_equal_entries_without_id_are_counted(kind):
    with RawServer(kind([nameless(1), nameless(1), entry(2), {}, {}])) as server:
        checkouts = client_of(server).list_checkouts()
    assert len(checkouts) == 5


def test_entry_without_id_is_not_doubled_by_growth():
    def grow(ledger):
        if ledger.pages_read == 1:
            ledger.add(50)

    with RawServer(Ledger([*map(entry, range(5)), nameless(7)], cap=3, before_page=grow)) as server:
        checkouts = client_of(server).list_checkouts()
    assert sum(checkout.id is None for checkout in checkouts) == 1
    assert {checkout.id for checkout in checkouts} >= set(ids(range(5)))


def test_entries_without_date_come_last():
    undated = entry(9) | {"created_at": None}
    with RawServer(Ledger([entry(1), undated, entry(2)])) as server:
        checkouts = client_of(server).list_checkouts()
    assert [checkout.id for checkout in checkouts] == ids([2, 1, 9])
