"""
Approvals that a released version recorded, read by this one.

Each file of ``approvals`` is a record before anything was bought. A file is never changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from tests.support.tries import StandInTry
from tests.support.variables import Store

FILES = sorted((Path(__file__).parent / "approvals").glob("*.json"), key=lambda path: path.stem)


def journal_with(record: Any) -> tuple[Journal, Store]:
    store = Store()
    store.set("videodb_purchase", record)
    return Journal(store, StandInTry()), store


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_record_keeps_its_meaning(path: Path) -> None:
    golden = json.loads(path.read_text())
    journal, store = journal_with(golden)

    assert journal.load() is None
    # The first records name no connection.
    conn_id = golden["approval"]["asked"].get("conn_id")
    assert journal.approval.covers(50, currency=None, conn_id=conn_id) is path.stem.startswith("approved")
    assert journal.approval.is_open is path.stem.startswith("asked")
    assert not journal.approval.covers(51, currency=None, conn_id=conn_id)
    assert not journal.approval.covers(50, currency=None, conn_id="other")
    # Only the try changes when the next one takes it over.
    assert store.get("videodb_purchase") | {"try": golden["try"]} == golden


def test_field_of_a_newer_version_is_kept() -> None:
    golden = json.loads((Path(__file__).parent / "approvals" / "approved.json").read_text())
    golden["approval"]["newer"] = 1
    journal, store = journal_with(golden)
    journal.load()
    journal.save_approval(journal.approval)

    assert store.get("videodb_purchase")["approval"]["newer"] == 1


def test_purchase_keeps_its_approval() -> None:
    golden = json.loads((Path(__file__).parent / "approvals" / "approved.json").read_text())
    journal, store = journal_with(golden)
    journal.load()
    journal.save(Purchase(generation=0, amount=50, currency="usd", key="a-key"))

    assert store.get("videodb_purchase")["approval"] == golden["approval"]
    assert journal.approval.covers(50, currency="usd", conn_id=None)


def test_record_without_purchase_and_request_cannot_be_read() -> None:
    journal, _ = journal_with({"format": 1, "try": "01a2134f", "purchase": None})
    with pytest.raises(VideoDBPurchaseUnknownError):
        journal.load()
