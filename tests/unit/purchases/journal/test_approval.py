"""The record keeps an approval beside the purchase, and neither write loses the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.approval_record import Approval, Ask, Outcome, OutcomeStatus
from tests.support.records import PENDING
from tests.support.tries import StandInTry
from tests.support.variables import Store

ASK = Ask(
    amount=50,
    currency="usd",
    at="2026-11-26T07:00:00+00:00",
    until="2026-11-27T07:00:00+00:00",
    max_tries=2,
)
OUTCOME = Outcome(status=OutcomeStatus.APPROVED, by="Ada", at="2026-11-26T08:00:00+00:00", max_tries=2)


@pytest.fixture
def store() -> Store:
    return Store()


def begun(store: Store, name: str = "try-1") -> Journal:
    journal = Journal(store, StandInTry(name))
    journal.load()
    return journal


def test_try_without_a_record_has_no_approval(store: Store) -> None:
    assert begun(store).approval == Approval()


def test_next_try_reads_the_question_and_the_response(store: Store) -> None:
    first = begun(store)
    first.save_approval(first.approval.asking(ASK))

    second = begun(store, "try-2")
    assert second.load() is None
    assert second.approval == Approval(asked=ASK)
    assert second.approval.is_open

    second.save_approval(second.approval.ended(OUTCOME))
    third = begun(store, "try-3")
    assert third.approval == Approval(asked=ASK, outcome=OUTCOME)
    assert not third.approval.is_open


def test_new_question_forgets_the_last_response() -> None:
    again = replace(ASK, max_tries=3)

    assert Approval(asked=ASK, outcome=OUTCOME).asking(again) == Approval(asked=again)


def test_purchase_and_approval_keep_each_other(store: Store) -> None:
    journal = begun(store)
    journal.save_approval(Approval(asked=ASK))
    journal.save(PENDING)
    journal.save_approval(Approval(asked=ASK, outcome=OUTCOME))

    later = begun(store, "try-2")
    assert later.load() == PENDING
    assert later.approval == Approval(asked=ASK, outcome=OUTCOME)


def test_record_without_question_and_purchase_is_refused(store: Store) -> None:
    store.set("videodb_purchase", {"format": 1, "try": "try-1", "purchase": None, "approval": None})

    with pytest.raises(VideoDBPurchaseUnknownError):
        begun(store)
