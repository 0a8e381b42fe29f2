"""The record of a purchase, step by step."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key, merged
from tests.support.checkouts import LINK, NOON, YESTERDAY, after, asked, listed, made, responded

FULL = Purchase(
    generation=2,
    amount=50,
    currency="usd",
    key="key",
    balance_before=3.5,
    account="a1b2c3",
    posts=(NOON.isoformat(),),
    in_flight=45.0,
    excluded_ids=("cs_2",),
    orphans=("cs_3",),
    ended={"cs_0": 20},
    checkout_id="cs_1",
    id_source="url",
    payment_url=LINK,
    link_shared=True,
    notified=("0:SlackNotifier",),
    paid=("cs_1", "cs_3"),
    paid_at=YESTERDAY.isoformat(),
    unknown_fields={"of_a_later_version": [1]},
)
AS_JSON: dict[str, Any] = {
    "format": 1,
    "generation": 2,
    "amount": 50,
    "currency": "usd",
    "key": "key",
    "balance_before": 3.5,
    "account": "a1b2c3",
    "posts": ["2026-01-15T12:00:00+00:00"],
    "in_flight": 45.0,
    "excluded_ids": ["cs_2"],
    "orphans": ["cs_3"],
    "ended": {"cs_0": 20},
    "checkout_id": "cs_1",
    "id_source": "url",
    "payment_url": LINK,
    "link_shared": True,
    "notified": ["0:SlackNotifier"],
    "paid": ["cs_1", "cs_3"],
    "paid_at": "2026-01-14T12:00:00+00:00",
    "of_a_later_version": [1],
}


def test_json_form_is_what_is_kept_and_what_travels() -> None:
    assert FULL.to_dict() == AS_JSON


def test_record_is_read_as_it_was_written() -> None:
    assert Purchase.from_dict(json.loads(json.dumps(AS_JSON))) == FULL


@pytest.mark.parametrize(
    ("purchase", "stands"),
    [
        (asked(posts=()), False),
        (asked(posts=(), orphans=("cs_2",), excluded_ids=("cs_3",)), False),
        (asked(), True),
        (asked(posts=(), checkout_id="cs_1"), True),
        (asked(posts=(), payment_url=LINK), True),
    ],
)
def test_purchase_has_effect_once_a_post_may_have_worked(purchase: Purchase, stands: bool) -> None:
    assert purchase.has_effect is stands


@pytest.mark.parametrize(
    ("purchase", "step", "then"),
    [
        (
            asked(excluded_ids=("cs_8",), orphans=("cs_2",)),
            lambda purchase: purchase.post_started(after(60), there_before=["cs_2", "cs_8", "cs_9"]),
            asked(
                posts=("2026-01-15T12:00:00+00:00", "2026-01-15T12:01:00+00:00"),
                excluded_ids=("cs_8", "cs_9"),
                orphans=("cs_2",),
            ),
        ),
        (asked(posts=("a", "b", "c")), Purchase.post_rejected, asked(posts=("a", "b"))),
        (asked(posts=("a",)), Purchase.post_rejected, asked(posts=())),
        (
            FULL,
            Purchase.restarted,
            Purchase(
                generation=2,
                amount=50,
                currency="usd",
                key="key",
                balance_before=3.5,
                account="a1b2c3",
                excluded_ids=("cs_2",),
                # What it has a link for may be paid in spite of a person's word.
                ended={"cs_0": 20, "cs_1": 50},
                paid=("cs_1", "cs_3"),
                paid_at=YESTERDAY.isoformat(),
                unknown_fields={"of_a_later_version": [1]},
            ),
        ),
        (asked(orphans=("cs_2",), payment_url=LINK), Purchase.restarted, asked(posts=())),
        (
            asked(ended={"cs_2": 20}),
            lambda purchase: purchase.post_started(after(60), there_before=["cs_2", "cs_9"], may_take=35),
            asked(
                posts=("2026-01-15T12:00:00+00:00", "2026-01-15T12:01:00+00:00"),
                in_flight=35,
                excluded_ids=("cs_9",),
                ended={"cs_2": 20},
            ),
        ),
        (asked(in_flight=35), Purchase.post_rejected, asked(posts=())),
        (asked(in_flight=35), Purchase.post_outcome_unknown, asked()),
        (asked(in_flight=35), lambda purchase: purchase.post_succeeded(responded()), made()),
        (asked(), lambda purchase: purchase.post_succeeded(responded()), made()),
        (asked(), lambda purchase: purchase.post_succeeded(responded(None)), asked(payment_url=LINK)),
        (
            asked(orphans=("cs_2", "cs_1", "cs_3")),
            lambda purchase: purchase.post_succeeded(responded()),
            made(orphans=("cs_2", "cs_3")),
        ),
        (asked(), lambda purchase: purchase.matched(listed()), asked(checkout_id="cs_1", id_source="list")),
        (
            asked(orphans=("cs_2", "cs_1"), payment_url=LINK),
            lambda purchase: purchase.matched(listed()),
            made(orphans=("cs_2",), id_source="list"),
        ),
        (made(), Purchase.sharing_link, made(link_shared=True)),
        (made(), lambda purchase: purchase.marked_paid(["cs_1", "cs_2"]), made(paid=("cs_1", "cs_2"))),
        (made(), lambda purchase: purchase.without([]), made()),
        (
            made(excluded_ids=("cs_7",), orphans=("cs_2", "cs_3"), paid=("cs_1", "cs_2")),
            lambda purchase: purchase.without(["cs_2", "cs_7"]),
            made(excluded_ids=("cs_7", "cs_2"), orphans=("cs_3",), paid=("cs_1",)),
        ),
        (
            made(paid=("cs_1",)),
            lambda purchase: purchase.without(["cs_1"]),
            asked(excluded_ids=("cs_1",), payment_url=LINK),
        ),
        (
            made(ended={"cs_2": 20, "cs_3": 30}, paid=("cs_2",)),
            lambda purchase: purchase.without(["cs_2"]),
            made(excluded_ids=("cs_2",), ended={"cs_3": 30}),
        ),
        # A response may name the checkout that an earlier POST was thought to have made.
        (
            asked(ended={"cs_1": 50, "cs_2": 20}),
            lambda purchase: purchase.post_succeeded(responded()),
            made(ended={"cs_2": 20}),
        ),
        (
            made(ended={"cs_3": 20}),
            lambda purchase: purchase.matched(listed("cs_2")),
            made(checkout_id="cs_2", id_source="list", ended={"cs_3": 20, "cs_1": 50}),
        ),
        (made(), lambda purchase: purchase.matched(listed()), made(id_source="list")),
        (
            asked(ended={"cs_1": 50, "cs_2": 20}, payment_url=LINK),
            lambda purchase: purchase.matched(listed()),
            made(ended={"cs_2": 20}, id_source="list"),
        ),
        (
            made(),
            lambda purchase: purchase.marked_paid(["cs_1"], at=NOON),
            made(paid=("cs_1",), paid_at=NOON.isoformat()),
        ),
        (
            made(paid_at=YESTERDAY.isoformat()),
            lambda purchase: purchase.marked_paid(["cs_1"], at=NOON),
            made(paid=("cs_1",), paid_at=YESTERDAY.isoformat()),
        ),
    ],
)
def test_transition_changes_what_it_names_only(purchase: Purchase, step: Any, then: Purchase) -> None:
    assert step(purchase) == then


@pytest.mark.parametrize(
    ("before", "orphans", "ended"),
    [
        (made(), (), {"cs_1": 50}),
        (made(orphans=("cs_2",)), ("cs_2",), {"cs_2": 50, "cs_1": 50}),
        # A lost response that is asked for again over another amount.
        (asked(orphans=("cs_2", "cs_3")), ("cs_2", "cs_3"), {"cs_2": 50, "cs_3": 50}),
        (asked(), (), {}),
        # What ended before keeps its dollars, also where it is an orphan.
        (made(orphans=("cs_2",), ended={"cs_0": 20, "cs_2": 97}), ("cs_2",), {"cs_0": 20, "cs_2": 97, "cs_1": 50}),
    ],
)
def test_next_generation_watches_what_there_was(
    before: Purchase, orphans: tuple[str, ...], ended: dict[str, int]
) -> None:
    begun = replace(
        before,
        account="a1b2c3",
        currency="eur",
        excluded_ids=("cs_9",),
        in_flight=35,
        link_shared=True,
        notified=("0:SlackNotifier",),
    )
    then = begun.next_generation(amount=7, currency="usd", key="another", balance=1.5)

    assert then == Purchase(
        generation=1,
        amount=7,
        currency="usd",
        key="another",
        balance_before=1.5,
        excluded_ids=("cs_9",),
        orphans=orphans,
        ended=ended,
    )


@pytest.mark.parametrize(
    ("purchase", "dollars"),
    [
        (made(), 50),
        (made(paid=("cs_1",)), 50),
        (made(ended={"cs_0": 20}), 50),
        (made(ended={"cs_0": 20}, paid=("cs_1", "cs_0")), 50),
        (made(ended={"cs_0": 20, "cs_2": 97}, paid=("cs_0",)), 20),
        (made(ended={"cs_0": 20, "cs_2": 97}, paid=("cs_2", "cs_0")), 97),
        (made(orphans=("cs_2",), paid=("cs_2",)), 50),
        # An orphan of a generation before this one, which asked for less.
        (
            asked(amount=97, orphans=("cs_2",))
            .next_generation(amount=5, currency=None, key="k", balance=0)
            .marked_paid(["cs_2"]),
            97,
        ),
    ],
)
def test_amount_paid_belongs_to_the_paid_generation(purchase: Purchase, dollars: int) -> None:
    assert purchase.amount_paid == dollars


@pytest.mark.parametrize(
    ("purchase", "watched"),
    [
        (asked(), ()),
        (made(), ("cs_1",)),
        (made(orphans=("cs_3", "cs_2"), ended={"cs_5": 20, "cs_4": 30}), ("cs_1", "cs_3", "cs_2", "cs_5", "cs_4")),
        (asked(orphans=("cs_2",), ended={"cs_2": 20}), ("cs_2",)),
        (made(orphans=("cs_1",)), ("cs_1",)),
    ],
)
def test_own_checkout_is_watched_first(purchase: Purchase, watched: tuple[str, ...]) -> None:
    assert purchase.watched == watched


def test_receipt_says_what_was_bought_not_how() -> None:
    many = tuple(f"cs_live_{number:060}" for number in range(5000))
    receipt = replace(FULL, excluded_ids=many, posts=(NOON.isoformat(),) * 100).receipt()

    assert receipt == replace(FULL, posts=(), in_flight=0, excluded_ids=())
    assert len(json.dumps(receipt.to_dict())) < 1000
    assert Purchase.from_dict(receipt.to_dict()) == receipt


@pytest.mark.parametrize(
    ("purchase", "surely"),
    [
        (made(id_source="response"), True),
        (made(id_source="url"), True),
        (made(id_source="list"), False),
        (made(checkout_id="cs_2"), False),
        (asked(), False),
    ],
)
def test_confirmed_id_came_with_a_response(purchase: Purchase, surely: bool) -> None:
    assert purchase.is_confirmed_id("cs_1") is surely


def test_ids_are_merged_once_each_in_order() -> None:
    assert merged(("b", "a"), ["c", "a", "d", "c"]) == ("b", "a", "c", "d")


def test_key_is_the_same_in_every_process_and_version() -> None:
    key = idempotency_key("dag", "run", "task", "-1", 0, 50)
    assert key == "fada3c41ebb4701019bbd786edb03d5d8ce5f9a0d6ca4b5d5f1ccd2581200bab"


def test_no_two_purchases_share_a_key() -> None:
    identities = [("a", "b", 0), ("ab", 0), ("a", "b0"), ("a", "b", 1), ("b", "a", 0)]
    assert len({idempotency_key(*identity) for identity in identities}) == len(identities)


def test_reminder_is_recorded_and_outlives_the_receipt() -> None:
    reminded = made().reminded(NOON)

    assert reminded == replace(made(), reminded_at=NOON.isoformat())
    assert Purchase.from_dict(json.loads(json.dumps(reminded.receipt().to_dict()))).reminded_at == NOON.isoformat()


@pytest.mark.parametrize(("asked_for", "page"), [(None, "https://airflow.example/paid"), ("https://own.example", None)])
def test_first_post_names_the_page_of_the_task_or_the_default(asked_for: str | None, page: str | None) -> None:
    purchase = asked(posts=()).returning_to(asked_for, default="https://airflow.example/paid")

    assert purchase.redirect_url == (page or asked_for)
    assert asked(posts=()).returning_to(None, default=None).redirect_url is None


@pytest.mark.parametrize("first", [None, "https://first.example"])
def test_later_post_names_the_page_of_the_first(first: str | None) -> None:
    sent = replace(asked(), redirect_url=first)

    assert sent.returning_to("https://own.example", default="https://airflow.example/paid") == sent
