"""What a person says of a purchase that could not be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.purchases.rules.resolution import (
    BUY,
    apply_resolution,
    how_to_resolve,
    resolution_variable,
)
from tests.support.checkouts import LINK, after, asked, expired, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

LINK_ALONE = asked(payment_url=LINK)
HOW_TO_RESOLVE = (
    "Look at the checkouts in VideoDB's console, then either run `airflow variables set "
    "videodb_answer_0123456789abcdef CHECKOUT_ID` (it was this one) or `airflow variables set "
    "videodb_answer_0123456789abcdef buy` (none of them, buy), and clear the task."
)


@pytest.mark.parametrize("answer", [BUY, "cs_1", "cs_2", "cs_of_nobody"])
@pytest.mark.parametrize(
    ("purchase", "entries"),
    [
        (made(paid=("cs_1",)), []),
        (made(link_shared=True), [listed(status="completed"), listed("cs_2", "completed")]),
        (asked(orphans=("cs_1",)), [listed(status="completed"), listed("cs_2")]),
        (made(checkout_id="cs_3", ended={"cs_1": 20}), [listed(status="completed"), expired("cs_3")]),
    ],
)
def test_no_answer_changes_what_is_known_to_be_paid(purchase: Purchase, entries: list[Checkout], answer: str) -> None:
    assert apply_resolution(purchase, answer, entries) == purchase


@pytest.mark.parametrize(
    ("purchase", "entries", "answer", "then"),
    [
        # "buy" forgets all that was sent, ...
        (asked(orphans=("cs_1",)), [listed()], BUY, asked(posts=())),
        (LINK_ALONE, [listed()], BUY, asked(posts=())),
        # ... save a checkout that is known: it goes on being watched.
        (made(), [listed()], BUY, asked(posts=(), ended={"cs_1": 50})),
        (made(ended={"cs_0": 20}), [], BUY, asked(posts=(), ended={"cs_0": 20, "cs_1": 50})),
        # A person may believe what we do not: that it has expired, however young it is.
        (
            made(link_shared=True, notified=("0:SlackNotifier",)),
            [listed(status="expired")],
            BUY,
            asked(posts=(), ended={"cs_1": 50}, generation=1),
        ),
        (made(link_shared=True), [expired()], BUY, asked(posts=(), ended={"cs_1": 50})),
        # The key of what may be an expired one is not used again.
        (asked(), [listed(status="expired")], BUY, asked(posts=(), generation=1)),
        (LINK_ALONE, [listed(), listed("cs_2", "expired")], BUY, asked(posts=(), generation=1)),
        (asked(), [listed(status="expired", made_at=after(-3600))], BUY, asked(posts=())),
        # A paid one ends it,
        (
            asked(),
            [listed(status="completed")],
            "cs_1",
            asked(checkout_id="cs_1", id_source="list", paid=("cs_1",)),
        ),
        (
            made(),
            [listed(status="expired"), listed("cs_2", "completed")],
            "cs_2",
            made(checkout_id="cs_2", id_source="list", ended={"cs_1": 50}, paid=("cs_2",)),
        ),
        # an unpaid one is what the link leads to,
        (LINK_ALONE, [listed()], "cs_1", LINK_ALONE.matched(listed())),
        (LINK_ALONE, [listed(status="expired")], "cs_1", LINK_ALONE.matched(listed())),
        (made(), [listed("cs_2")], "cs_2", made(checkout_id="cs_2", id_source="list", ended={"cs_1": 50})),
        (made(), [listed(status="expired"), listed("cs_2")], "cs_2", made()),
        # and without a link an orphan.
        (asked(), [listed()], "cs_1", asked(posts=(), orphans=("cs_1",))),
        (asked(orphans=("cs_2",)), [listed()], "cs_1", asked(posts=(), orphans=("cs_2", "cs_1"))),
        (asked(orphans=("cs_1",)), [listed()], "cs_1", asked(posts=(), orphans=("cs_1",))),
        (asked(), [listed(status="expired")], "cs_1", asked(posts=(), orphans=("cs_1",), generation=1)),
    ],
)
def test_an_answer_is_followed(purchase: Purchase, entries: list[Checkout], answer: str, then: Purchase) -> None:
    assert apply_resolution(purchase, answer, entries) == then


@pytest.mark.parametrize(
    ("entries", "answer", "why"),
    [
        ([], "cs_1", "'cs_1' is not 'buy', and the id of no checkout in VideoDB's list"),
        ([listed()], "Buy", "'Buy' is not 'buy', and the id of no checkout in VideoDB's list"),
        ([listed()], "", "'' is not 'buy', and the id of no checkout in VideoDB's list"),
        (
            [listed(status="disputed")],
            "cs_1",
            "'cs_1' is not 'buy', and in no state that VideoDB's documents know",
        ),
        ([listed(status="")], "cs_1", "'cs_1' is not 'buy', and in no state that VideoDB's documents know"),
        ([listed(None)], "None", "'None' is not 'buy', and the id of no checkout in VideoDB's list"),
    ],
)
def test_an_answer_that_cannot_be_followed_buys_nothing_and_says_why(
    entries: list[Checkout], answer: str, why: str
) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        apply_resolution(asked(), answer, entries)
    assert str(caught.value) == f"The answer {why}. Nothing was bought. {HOW_TO_RESOLVE}"


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [listed()],
        [listed("cs_2", "completed")],
        [listed(status="processing")],
        [listed(status="")],
        [listed(), listed("cs_2", "expired")],
    ],
)
def test_buy_is_refused_while_a_link_is_out_that_may_be_paid(entries: list[Checkout]) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        apply_resolution(made(link_shared=True), BUY, entries)
    assert str(caught.value) == (
        f"The answer is 'buy', but a link of this task was handed out and may still be paid: {LINK} Nothing was "
        "bought. Remove the Airflow Variable videodb_answer_0123456789abcdef and clear the task to wait for that "
        "payment, or start a new DAG run to buy again."
    )


@pytest.mark.parametrize("state", ["pending", "processing", ""])
def test_what_buy_writes_off_is_watched_on(state: str) -> None:
    assert "cs_1" in apply_resolution(made(), BUY, [listed(status=state)]).watched


def test_the_answer_has_a_variable_for_each_purchase() -> None:
    purchases: list[Any] = [asked(key=key * 64) for key in "ab"]
    assert [resolution_variable(purchase) for purchase in purchases] == [
        "videodb_answer_aaaaaaaaaaaaaaaa",
        "videodb_answer_bbbbbbbbbbbbbbbb",
    ]


def test_a_person_is_told_what_to_type() -> None:
    assert how_to_resolve(asked()) == HOW_TO_RESOLVE
