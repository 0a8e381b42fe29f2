"""Following a checkout until it is paid or can no longer be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBResponseError,
)
from airflow_provider_videodb.models import Checkout, by_id
from airflow_provider_videodb.payment import PaymentWatch, last_look
from tests.support.checkouts import LINK, after, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.record import Purchase

PURCHASE = made(handed_out=True, orphans=("cs_2",))
SEEN, UNSEEN = [listed()], [listed("cs_9")]


@pytest.mark.parametrize(
    ("entries", "paid"),
    [
        (SEEN, None),
        (UNSEEN, None),
        ([listed(), listed("cs_9", "completed")], None),
        ([listed(), listed("cs_2", "expired")], None),
        ([listed(status="completed")], ("cs_1",)),
        ([listed(), listed("cs_2", "completed")], ("cs_2",)),
        # Paid is paid, whatever became of the other.
        ([listed(status="expired"), listed("cs_2", "completed")], ("cs_2",)),
        ([listed(status="disputed"), listed("cs_2", "completed")], ("cs_2",)),
        ([listed("cs_2", "completed"), listed(status="completed")], ("cs_1", "cs_2")),
    ],
)
def test_a_look_tells_what_is_paid(entries: list[Checkout], paid: tuple[str, ...] | None) -> None:
    seen = PaymentWatch(PURCHASE).paid(by_id(entries), now=after())
    assert seen == (None if paid is None else replace(PURCHASE, paid=paid))


def test_what_expired_unpaid_ends_the_wait() -> None:
    with pytest.raises(VideoDBCheckoutExpiredError) as caught:
        PaymentWatch(PURCHASE).paid(by_id([listed(status="expired")]), now=after())
    assert str(caught.value) == (
        "Checkout cs_1 over 50 USD expired unpaid: its link cannot be paid any more. Retry or clear the task to get a "
        "new link."
    )


def test_a_state_of_no_known_word_ends_the_wait() -> None:
    with pytest.raises(VideoDBResponseError, match="'disputed'"):
        PaymentWatch(PURCHASE).paid(by_id([listed(status="disputed")]), now=after())


@pytest.mark.parametrize(
    ("looks", "gives_up"),
    [
        # One that was never seen may take a minute to show.
        ([(0, UNSEEN), (59.9, UNSEEN)], False),
        ([(0, UNSEEN), (60, UNSEEN)], True),
        ([(0, UNSEEN), (1, UNSEEN), (2, UNSEEN), (3, UNSEEN), (4, UNSEEN)], False),
        ([(0, UNSEEN), (30, UNSEEN), (60, UNSEEN)], True),
        # One that was seen may miss two looks in a row,
        ([(0, SEEN), (1, UNSEEN), (2, UNSEEN)], False),
        ([(0, SEEN), (1, UNSEEN), (2, UNSEEN), (3, UNSEEN)], True),
        # or a minute.
        ([(0, SEEN), (1, UNSEEN), (60.9, UNSEEN)], False),
        ([(0, SEEN), (1, UNSEEN), (61, UNSEEN)], True),
        # What shows again is counted anew.
        ([(0, SEEN), (1, UNSEEN), (2, UNSEEN), (3, SEEN), (4, UNSEEN), (5, UNSEEN)], False),
        ([(0, SEEN), (1, UNSEEN), (2, SEEN), (3, UNSEEN), (4, UNSEEN), (5, UNSEEN)], True),
        ([(0, SEEN), (1, UNSEEN), (50, SEEN), (61, UNSEEN), (62, UNSEEN)], False),
        ([(0, UNSEEN), (1, UNSEEN), (2, SEEN), (3, UNSEEN), (4, UNSEEN)], False),
    ],
)
def test_a_checkout_may_be_missing_as_long_as_lag_explains(
    looks: list[tuple[float, list[Checkout]]], gives_up: bool
) -> None:
    watch = PaymentWatch(PURCHASE)
    *early, (last, entries) = looks
    for seconds, seen in early:
        assert watch.paid(by_id(seen), now=after(seconds)) is None
    if not gives_up:
        assert watch.paid(by_id(entries), now=after(last)) is None
        return
    with pytest.raises(VideoDBCheckoutMissingError) as caught:
        watch.paid(by_id(entries), now=after(last))
    assert str(caught.value) == (
        "Checkout cs_1 over 50 USD is not in VideoDB's list, so whether it was paid cannot be told. Its link may still "
        f"be payable: {LINK} Look for it in VideoDB's console; a retry of the task looks again and makes no second one."
    )


@pytest.mark.parametrize(
    ("purchase", "entries", "words"),
    [
        (made(), SEEN, "Nobody has been shown a link to pay the 50 USD that were asked for."),
        (
            PURCHASE,
            [listed(status="completed")],
            "Checkout cs_1 over 50 USD was paid: its credits are on the account.",
        ),
        (
            PURCHASE,
            [listed(status="completed"), listed("cs_2", "completed")],
            "Checkout cs_1, cs_2 over 50 USD was paid: its credits are on the account.",
        ),
        (
            PURCHASE,
            [listed(), listed("cs_2", "completed")],
            "Checkout cs_2 over 50 USD was paid: its credits are on the account. Do not pay the link of cs_1 as well: "
            + LINK,
        ),
        (
            PURCHASE,
            [listed(status="expired")],
            "Checkout cs_1 over 50 USD expired unpaid: nothing can be paid any more.",
        ),
        (
            PURCHASE,
            SEEN,
            "Checkout cs_1 over 50 USD stays payable until it expires, and there is no call to cancel it: " + LINK,
        ),
        (
            PURCHASE,
            UNSEEN,
            "Checkout cs_1 over 50 USD stays payable until it expires, and there is no call to cancel it: " + LINK,
        ),
    ],
)
def test_the_last_look_says_what_remains(purchase: Purchase, entries: list[Checkout], words: str) -> None:
    assert last_look(purchase, by_id(entries)) == words
