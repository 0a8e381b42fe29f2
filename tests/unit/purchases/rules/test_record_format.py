"""What a record must hold to be read, and what it may lack or carry besides."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from tests.support.checkouts import made

RECORD = made(notified=("0:SlackNotifier",), paid_at="2026-01-15T12:00:00+00:00").to_dict()
OPTIONAL = {"format", "balance_before", "notified", "paid_at"}


def without(name: str) -> dict[str, Any]:
    return {one: value for one, value in RECORD.items() if one != name}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, "it is not a JSON object but None"),
        ("x", "it is not a JSON object but 'x'"),
        *[(without(name), f"{name} is missing") for name in RECORD if name not in OPTIONAL],
        (RECORD | {"ended": None}, "ended is None"),
        (RECORD | {"notified": True}, "notified is True"),
        (RECORD | {"paid": "cs_x"}, "paid is 'cs_x'"),
        (RECORD | {"paid": [1]}, "an entry of paid is 1"),
        (RECORD | {"ended": {"cs_0": "20"}}, "an amount is '20'"),
        (RECORD | {"key": None}, "key is None"),
        (RECORD | {"amount": "50"}, "amount is '50'"),
        (RECORD | {"amount": True}, "amount is True"),
        (RECORD | {"generation": 0.5}, "generation is 0.5"),
        (RECORD | {"link_shared": 1}, "link_shared is 1"),
        (RECORD | {"format": "1"}, "format is '1'"),
        (RECORD | {"in_flight": 1e9}, "in_flight is 1000000000.0"),
        (RECORD | {"in_flight": -1}, "in_flight is -1"),
        (RECORD | {"paid_at": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
        (RECORD | {"posts": ["2026-01-15T12:00:00"]}, "2026-01-15T12:00:00 has no time zone"),
        (RECORD | {"__classname__": "x"}, "__classname__ is not a field"),
        (RECORD | {"posts": [""]}, "Invalid isoformat string: ''"),
        (RECORD | {"key": 10**1000}, f"key is 1{'0' * 192}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unreadable_record_says_why_and_what_to_do(record: object, why: str) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        Purchase.from_dict(record)
    assert str(caught.value) == (
        f"The record of this purchase cannot be read, because {why}. So it is unknown what was bought. Nothing more "
        "was bought. Next step: look at the checkouts in VideoDB's console, then start a new DAG run to buy again."
    )


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_older_record_may_lack_what_decides_no_money(name: str) -> None:
    purchase = Purchase.from_dict(without(name))

    assert purchase.watched == ("cs_1",)
    assert purchase.to_dict()["format"] == 1


@pytest.mark.parametrize("number", [0, 1, 2, 99])
def test_newer_record_keeps_the_fields_that_it_added(number: int) -> None:
    record = RECORD | {"format": number, "approved_by": {"a": ["person"]}}

    assert Purchase.from_dict(record).to_dict() == record | {"format": 1}
