"""The record of a purchase, step by step."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.record import Purchase, merged
from tests.support.checkouts import LINK, NOON, after, answered, asked, listed, made

FULL = Purchase(
    generation=2,
    amount=50,
    currency="usd",
    key="key",
    balance_before=3.5,
    posts=(NOON.isoformat(),),
    not_ours=("cs_2",),
    orphans=("cs_3",),
    checkout_id="cs_1",
    id_source="url",
    payment_url=LINK,
    handed_out=True,
    notified=True,
    paid=("cs_1", "cs_3"),
)
AS_JSON: dict[str, Any] = {
    "generation": 2,
    "amount": 50,
    "currency": "usd",
    "key": "key",
    "balance_before": 3.5,
    "posts": ["2026-01-15T12:00:00+00:00"],
    "not_ours": ["cs_2"],
    "orphans": ["cs_3"],
    "checkout_id": "cs_1",
    "id_source": "url",
    "payment_url": LINK,
    "handed_out": True,
    "notified": True,
    "paid": ["cs_1", "cs_3"],
}


def test_its_json_form_is_what_earlier_versions_wrote() -> None:
    assert FULL.to_dict() == AS_JSON


def test_it_is_read_as_it_was_written() -> None:
    assert Purchase.from_dict(json.loads(json.dumps(AS_JSON))) == FULL


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, "'NoneType' object is not iterable"),
        ("x", "dictionary update sequence element #0 has length 1; 2 is required"),
        ({name: value for name, value in AS_JSON.items() if name != "posts"}, "'posts'"),
    ],
    ids=["nothing", "no mapping", "a field missing"],
)
def test_what_cannot_be_read_says_why_and_what_to_do(record: object, why: str) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        Purchase.from_dict(record)
    assert str(caught.value) == (
        f"The journal of this purchase cannot be read ({why}), so what was bought is unknown. Nothing more was bought. "
        "Look at the checkouts in VideoDB's console; then start a new DAG run to buy again."
    )


def test_from_claims_comes_what_the_list_tells_the_first_for_its_own() -> None:
    paid = [listed(status="completed"), listed("cs_2", "completed", amount=20), listed(None, "completed")]
    assert Purchase.from_claimed(paid) == Purchase(
        generation=0,
        amount=50,
        currency="usd",
        key="",
        balance_before=None,
        checkout_id="cs_1",
        id_source="list",
        paid=("cs_1", "cs_2"),
    )


def test_from_claims_the_amount_is_json() -> None:
    amount = Purchase.from_claimed([listed(amount="50.00")]).amount
    assert (type(amount), amount) == (int, Decimal(50))


@pytest.mark.parametrize(
    ("purchase", "stands"),
    [
        (asked(posts=()), False),
        (asked(posts=(), orphans=("cs_2",), not_ours=("cs_3",)), False),
        (asked(), True),
        (asked(posts=(), checkout_id="cs_1"), True),
        (asked(posts=(), payment_url=LINK), True),
    ],
)
def test_it_stands_once_something_may_have_come_of_it(purchase: Purchase, stands: bool) -> None:
    assert purchase.stands is stands


@pytest.mark.parametrize(
    ("purchase", "step", "then"),
    [
        (
            asked(not_ours=("cs_8",), orphans=("cs_2",)),
            lambda purchase: purchase.posting(after(60), there_before=["cs_2", "cs_8", "cs_9"]),
            asked(
                posts=("2026-01-15T12:00:00+00:00", "2026-01-15T12:01:00+00:00"),
                not_ours=("cs_8", "cs_9"),
                orphans=("cs_2",),
            ),
        ),
        (asked(posts=("a", "b", "c")), Purchase.refused, asked(posts=("a", "b"))),
        (asked(posts=("a",)), Purchase.refused, asked(posts=())),
        (
            FULL,
            Purchase.begun_anew,
            Purchase(
                generation=2,
                amount=50,
                currency="usd",
                key="key",
                balance_before=3.5,
                not_ours=("cs_2",),
                paid=("cs_1", "cs_3"),
            ),
        ),
        (asked(), lambda purchase: purchase.answered(answered()), made()),
        (asked(), lambda purchase: purchase.answered(answered(None)), asked(payment_url=LINK)),
        (
            asked(orphans=("cs_2", "cs_1", "cs_3")),
            lambda purchase: purchase.answered(answered()),
            made(orphans=("cs_2", "cs_3")),
        ),
        (asked(), lambda purchase: purchase.found(listed()), asked(checkout_id="cs_1", id_source="list")),
        (
            asked(orphans=("cs_2", "cs_1"), payment_url=LINK),
            lambda purchase: purchase.found(listed()),
            made(orphans=("cs_2",), id_source="list"),
        ),
        (made(), Purchase.handing_out, made(handed_out=True)),
        (made(), lambda purchase: purchase.settled(["cs_1", "cs_2"]), made(paid=("cs_1", "cs_2"))),
        (made(), lambda purchase: purchase.disowned([]), made()),
        (
            made(not_ours=("cs_7",), orphans=("cs_2", "cs_3"), paid=("cs_1", "cs_2")),
            lambda purchase: purchase.disowned(["cs_2", "cs_7"]),
            made(not_ours=("cs_7", "cs_2"), orphans=("cs_3",), paid=("cs_1",)),
        ),
        (
            made(paid=("cs_1",)),
            lambda purchase: purchase.disowned(["cs_1"]),
            asked(not_ours=("cs_1",), payment_url=LINK),
        ),
    ],
)
def test_a_step_changes_what_it_says_and_nothing_else(purchase: Purchase, step: Any, then: Purchase) -> None:
    assert step(purchase) == then


@pytest.mark.parametrize(
    ("purchase", "surely"),
    [
        (made(id_source="answer"), True),
        (made(id_source="url"), True),
        (made(id_source="list"), False),
        (made(checkout_id="cs_2"), False),
        (asked(), False),
    ],
)
def test_surely_its_own_is_what_an_answer_named(purchase: Purchase, surely: bool) -> None:
    assert purchase.is_surely("cs_1") is surely


def test_ids_are_merged_once_each_in_order() -> None:
    assert merged(("b", "a"), ["c", "a", "d", "c"]) == ("b", "a", "c", "d")
