"""Polling the checkouts takes few calls and misses nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_videodb.api.models import by_id
from tests.support.api import client_of
from tests.support.lists import Ledger, entry, ids, nameless
from tests.support.raw_server import RawServer


@pytest.mark.parametrize("count", [0, 1, 7, 20, 99])
def test_later_poll_takes_one_call(count):
    ledger = Ledger(map(entry, range(count)), cap=20 if count < 20 else 10_000)
    with RawServer(ledger) as server:
        client = client_of(server)
        first = client.poll_checkouts()
        calls = len(server.requests)
        for _ in range(3):
            assert client.poll_checkouts() == first
    assert [checkout.id for checkout in first] == ids(reversed(range(count)))
    assert len(server.requests) == calls + 3


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [2, 20, 100, 10_000])
def test_poll_never_misses_a_new_checkout(cap, newest_first):
    ledger = Ledger([], cap=cap, newest_first=newest_first)
    with RawServer(ledger) as server:
        client = client_of(server)
        for number in range(24):
            ledger.add(number)
            # Twice, because the second poll relies on the first.
            for _ in range(2):
                assert [checkout.id for checkout in client.poll_checkouts()] == ids(reversed(range(number + 1)))


@pytest.mark.parametrize("final", ["completed", "expired"])
def test_poll_of_long_final_list_takes_one_call(final):
    ledger = Ledger([entry(number, status=final) for number in range(350)])
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        calls = len(server.requests)
        ledger.entries[349] = entry(349, status="completed")
        polled = client.poll_checkouts()
        assert len(server.requests) == calls + 1
    assert [checkout.id for checkout in polled] == ids(reversed(range(350)))
    assert polled[0].status == "completed"


def test_poll_of_long_list_sees_an_old_payment():
    ledger = Ledger([entry(number, status="pending" if number == 5 else "expired") for number in range(350)])
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.entries[5] = entry(5, status="completed")
        assert {checkout.id: checkout.status for checkout in client.poll_checkouts()}["cs_5"] == "completed"


def test_poll_sees_a_payment_at_once():
    ledger = Ledger(map(entry, range(3)))
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.entries[1] = entry(1, status="completed")
        assert [checkout.status for checkout in client.poll_checkouts()] == ["pending", "completed", "pending"]


def test_poll_with_unreadable_entries_takes_one_call():
    ledger = Ledger([entry(0), {}, nameless(1), entry(2) | {"created_at": "?"}, entry(3)])
    with RawServer(ledger) as server:
        client = client_of(server)
        first = client.poll_checkouts()
        calls = len(server.requests)
        assert client.poll_checkouts() == first
        assert len(server.requests) == calls + 1


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [1, 2, 100])
def test_poll_with_unreadable_entries_misses_nothing(cap, newest_first):
    ledger = Ledger([{}, nameless(0, status="expired"), {"id": 17}], cap=cap, newest_first=newest_first)
    with RawServer(ledger) as server:
        client = client_of(server)
        for number in range(1, 8):
            ledger.entries.append(entry(number) if number % 2 else nameless(number))
            for _ in range(2):
                assert len(client.poll_checkouts()) == len(ledger.entries)
        ledger.entries[1] = nameless(0, status="completed")
        assert [c.status for c in client.poll_checkouts() if c.amount == 0] == ["completed"]


def test_poll_trusts_no_order_without_dates():
    undated = [entry(number, status="expired") | {"created_at": None} for number in range(5)]
    ledger = Ledger(undated, cap=2, newest_first=False)
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.add(5)
        assert "cs_5" in by_id(client.poll_checkouts())


@pytest.mark.parametrize(("hours", "seen"), [(1, "completed"), (23, "completed"), (24.1, "completed"), (25, "expired")])
def test_poll_reads_a_young_expired_checkout_again(hours, seen):
    """One read does not prove that a checkout has expired, as long as it is younger than one becomes."""
    made_at = datetime.now(UTC) - timedelta(hours=hours)
    young = entry(0, status="expired") | {"created_at": made_at.isoformat()}
    newest = datetime.now(UTC).isoformat()
    ledger = Ledger(
        [young, *(entry(number) | {"status": "completed", "created_at": newest} for number in range(1, 350))]
    )
    with RawServer(ledger) as server:
        client = client_of(server)
        client.poll_checkouts()
        ledger.entries[0] = young | {"status": "completed"}
        assert {checkout.id: checkout.status for checkout in client.poll_checkouts()}["cs_0"] == seen
