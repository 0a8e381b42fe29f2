"""Store an approval, and refuse an edited one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.rules.approval_record import Approval, Ask, Outcome, OutcomeStatus

ASKED = Ask(
    amount=50,
    currency="usd",
    at="2026-11-26T07:00:00+00:00",
    until="2026-11-27T07:00:00+00:00",
    max_tries=2,
    approvers=("ada",),
    is_shown=True,
    notified=("0:SmtpNotifier",),
)
OUTCOME = Outcome(status=OutcomeStatus.APPROVED, by="ada", at="2026-11-26T08:00:00+00:00", max_tries=2)
APPROVAL = Approval(asked=ASKED, outcome=OUTCOME, unknown_fields={"note": 1})


@pytest.mark.parametrize("approval", [APPROVAL, Approval(asked=ASKED), Approval()], ids=["approved", "open", "none"])
def test_record_is_read_as_it_was_written(approval: Approval) -> None:
    assert Approval.from_dict(json.loads(json.dumps(approval.to_dict()))) == approval


def test_no_record_is_no_approval() -> None:
    assert Approval.from_dict(None) == Approval()
    assert not Approval().is_open


def test_smallest_amount_and_another_currency_are_read() -> None:
    asked = replace(ASKED, amount=1, currency="eur")

    assert Approval.from_dict(Approval(asked=asked).to_dict()).asked == asked
    assert (asked.price, asked.options) == ("1 EUR", ("Approve 1 EUR", "Refuse"))


def test_record_without_the_later_fields_is_read() -> None:
    record = Approval(asked=ASKED).to_dict()
    for later in ("approvers", "notified", "is_shown"):
        del record["asked"][later]

    assert Approval.from_dict(record).asked == replace(ASKED, approvers=(), notified=(), is_shown=False)


@pytest.mark.parametrize(
    "change",
    [
        {"asked": "yes"},
        {"outcome": "approved"},
        {"asked": {"amount": "50"}},
        {"asked": {"amount": True}},
        {"asked": {"amount": 0}},
        {"asked": {"amount": -50}},
        {"asked": {"amount": 10**40}},
        {"asked": {"currency": 5}},
        {"asked": {"until": "soon"}},
        {"asked": {"until": "2026-11-27T07:00:00"}},
        {"asked": {"at": None}},
        {"asked": {"at": "2026-11-26T07:00:00"}},
        {"asked": {"approvers": [7]}},
        {"asked": {"notified": [7]}},
        {"asked": {"notified": 7}},
        {"asked": {"max_tries": None}},
        {"outcome": {"status": "yes"}},
        {"outcome": {"status": None}},
        {"outcome": {"max_tries": 1.5}},
        {"outcome": {"by": 7}},
        {"outcome": {"at": "soon"}},
        {"outcome": {"at": "2026-11-26T08:00:00"}},
        {"outcome": {"response": 7}},
    ],
    ids=str,
)
def test_edited_record_is_no_approval(change: dict[str, Any]) -> None:
    record: dict[str, Any] = APPROVAL.to_dict()
    for part, value in change.items():
        record[part] = record[part] | value if isinstance(value, dict) else value
    with pytest.raises(VideoDBPurchaseUnknownError, match="its approval is not as the task wrote it"):
        Approval.from_dict(record)


@pytest.mark.parametrize("record", [[], "approved", 5, {"asked": None}, {"outcome": None}], ids=str)
def test_other_record_is_no_approval(record: object) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError):
        Approval.from_dict(record)


def test_message_is_recorded_with_the_request_it_is_about() -> None:
    told = Approval(asked=ASKED).notified_by("0:mail").notified_by("1:chat")
    assert told.asked is not None
    assert told.asked.notified == (*ASKED.notified, "0:mail", "1:chat")
    # A message about no request is about nothing that a retry could repeat.
    assert Approval().notified_by("0:mail") == Approval()
