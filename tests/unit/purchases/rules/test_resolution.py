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
from tests.support.checkouts import LINK, LINK_ALONE, after, asked, expired, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

HOW_TO_RESOLVE = (
    "Next step: find this task's checkout in VideoDB's console. Set the Variable below to its id, or to buy if there "
    "is none. Then clear the task.\n"
    "UI: Admin > Variables, set videodb_resolution_0123456789abcdef to CHECKOUT_ID\n"
    "UI: Admin > Variables, set videodb_resolution_0123456789abcdef to buy\n"
    "airflow variables set videodb_resolution_0123456789abcdef CHECKOUT_ID\n"
    "airflow variables set videodb_resolution_0123456789abcdef buy\n"
    "Or let this command list the candidates, check your choice and write it:\n"
    "airflow videodb answer"
)


@pytest.mark.parametrize("resolution", [BUY, "cs_1", "cs_2", "cs_of_nobody"])
@pytest.mark.parametrize(
    ("purchase", "entries"),
    [
        (made(paid=("cs_1",)), []),
        (made(link_shared=True), [listed(status="completed"), listed("cs_2", "completed")]),
        (asked(orphans=("cs_1",)), [listed(status="completed"), listed("cs_2")]),
        (made(checkout_id="cs_3", ended={"cs_1": 20}), [listed(status="completed"), expired("cs_3")]),
    ],
)
def test_resolution_changes_nothing_that_is_known_to_be_paid(
    purchase: Purchase, entries: list[Checkout], resolution: str
) -> None:
    assert apply_resolution(purchase, resolution, entries) == purchase


@pytest.mark.parametrize(
    ("purchase", "entries", "resolution", "then"),
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
def test_resolution_is_applied(purchase: Purchase, entries: list[Checkout], resolution: str, then: Purchase) -> None:
    assert apply_resolution(purchase, resolution, entries) == then


@pytest.mark.parametrize(
    ("entries", "resolution", "why"),
    [
        ([], "cs_1", "'cs_1' is neither 'buy' nor the id of a checkout"),
        ([listed()], "Buy", "'Buy' is neither 'buy' nor the id of a checkout"),
        ([listed()], "", "'' is neither 'buy' nor the id of a checkout"),
        (
            [listed(status="disputed")],
            "cs_1",
            "'cs_1' names a checkout in an undocumented state",
        ),
        ([listed(status="")], "cs_1", "'cs_1' names a checkout in an undocumented state"),
        ([listed(None)], "None", "'None' is neither 'buy' nor the id of a checkout"),
    ],
)
def test_resolution_that_cannot_be_applied_buys_nothing(entries: list[Checkout], resolution: str, why: str) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        apply_resolution(asked(), resolution, entries)
    assert str(caught.value) == f"The resolution {why}. Nothing was bought. {HOW_TO_RESOLVE}"


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
def test_buy_is_refused_while_a_shared_link_is_payable(entries: list[Checkout]) -> None:
    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        apply_resolution(made(link_shared=True), BUY, entries)
    assert str(caught.value) == (
        f"The resolution is 'buy', but this task has shared a link that can still be paid:\n{LINK}\nNothing was "
        "bought. Next step: delete the Airflow Variable videodb_resolution_0123456789abcdef and clear the task to wait "
        "for that payment. Or start a new DAG run to buy again."
    )


@pytest.mark.parametrize("state", ["pending", "processing", ""])
def test_checkout_written_off_by_buy_stays_watched(state: str) -> None:
    assert "cs_1" in apply_resolution(made(), BUY, [listed(status=state)]).watched


def test_resolution_has_a_variable_for_each_purchase() -> None:
    purchases: list[Any] = [asked(key=key * 64) for key in "ab"]
    assert [resolution_variable(purchase) for purchase in purchases] == [
        "videodb_resolution_aaaaaaaaaaaaaaaa",
        "videodb_resolution_bbbbbbbbbbbbbbbb",
    ]


def test_person_is_told_what_to_type() -> None:
    assert how_to_resolve(asked()) == HOW_TO_RESOLVE
