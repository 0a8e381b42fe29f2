"""Following a checkout until it is paid or can no longer be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.api.models import Checkout, by_id
from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
)
from airflow_provider_videodb.purchases.rules.messages import expired_error, missing_error
from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker, describe_open_payment
from tests.support.checkouts import LINK, after, expired, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

PURCHASE = made(link_shared=True, orphans=("cs_2",), ended={"cs_0": 20})
SEEN, UNSEEN = [listed()], [listed("cs_9")]
EXPIRED, YOUNG = [expired()], [listed(status="expired")]
#: What VideoDB's documents do not know.
UNKNOWN_STATES = ["processing", "disputed", "Completed", ""]


def poll_all(tracker: PaymentTracker, *polls: tuple[float, list[Checkout]]) -> Purchase | None:
    """Poll these lists at these seconds after noon; return the result of the last poll."""
    *early, (last, entries) = polls
    for seconds, seen in early:
        assert tracker.check(by_id(seen), now=after(seconds)) is None
    return tracker.check(by_id(entries), now=after(last))


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
        # An earlier generation may be paid late.
        ([listed(), listed("cs_0", "completed")], ("cs_0",)),
        ([listed("cs_0", "completed"), listed(status="completed")], ("cs_1", "cs_0")),
        ([listed("cs_0", "completed")], ("cs_0",)),
    ],
)
def test_poll_shows_what_is_paid(entries: list[Checkout], paid: tuple[str, ...] | None) -> None:
    seen = PaymentTracker(PURCHASE).check(by_id(entries), now=after())
    assert seen == (None if paid is None else replace(PURCHASE, paid=paid, paid_at=after().isoformat()))


@pytest.mark.parametrize(
    ("polls", "ends"),
    [
        # One poll proves nothing, however late,
        ([(0, EXPIRED)], False),
        ([(0, SEEN), (3600, EXPIRED)], False),
        # nor do two that are close together.
        ([(0, EXPIRED), (9.9, EXPIRED)], False),
        ([(0, EXPIRED), (3, EXPIRED), (6, EXPIRED), (9, EXPIRED)], False),
        ([(0, EXPIRED), (10, EXPIRED)], True),
        ([(0, EXPIRED), (3600, EXPIRED)], True),
        ([(0, EXPIRED), (5, EXPIRED), (10, EXPIRED)], True),
        # What is something else in between is counted anew.
        ([(0, EXPIRED), (5, SEEN), (10, EXPIRED), (19, EXPIRED)], False),
        ([(0, EXPIRED), (5, SEEN), (10, EXPIRED), (20, EXPIRED)], True),
        ([(0, EXPIRED), (5, UNSEEN), (10, EXPIRED)], False),
        ([(0, EXPIRED), (5, [listed(status="processing")]), (10, EXPIRED)], False),
        # A clock that is set back makes it wait for ten seconds more, and no longer.
        ([(0, EXPIRED), (-250, EXPIRED), (-245, EXPIRED)], False),
        ([(0, EXPIRED), (-250, EXPIRED), (-240, EXPIRED)], True),
    ],
)
def test_expired_checkout_ends_the_wait_at_the_second_poll(
    polls: list[tuple[float, list[Checkout]]], ends: bool
) -> None:
    tracker = PaymentTracker(PURCHASE)
    if not ends:
        assert poll_all(tracker, *polls) is None
        return
    with pytest.raises(VideoDBCheckoutExpiredError) as caught:
        poll_all(tracker, *polls)
    assert str(caught.value) == str(expired_error(PURCHASE, by_id(EXPIRED), now=after()))
    assert "expired unpaid" in str(caught.value)


def test_young_expired_checkout_is_left_to_a_person() -> None:
    with pytest.raises(VideoDBCheckoutExpiredError, match="may still be payable") as caught:
        poll_all(PaymentTracker(PURCHASE), (0, YOUNG), (3600, YOUNG))
    assert str(caught.value) == str(expired_error(PURCHASE, by_id(YOUNG), now=after(3600)))


@pytest.mark.parametrize("then", [listed(status="completed"), listed("cs_2", "completed"), listed("cs_0", "completed")])
def test_payment_counts_after_every_other_state(then: Checkout) -> None:
    seen = poll_all(PaymentTracker(PURCHASE), (0, EXPIRED), (9, UNSEEN), (60, EXPIRED), (3600, [then]))

    assert seen == PURCHASE.marked_paid([str(then.id)], at=after(3600))


@pytest.mark.parametrize("state", UNKNOWN_STATES)
def test_undocumented_state_is_waited_through_and_logged_once(state: str, caplog: pytest.LogCaptureFixture) -> None:
    unknown, paid = [listed(status=state)], [listed(status="completed")]
    polls = [(0, SEEN), (30, unknown), (60, SEEN), (90, unknown), (3600, unknown), (86400, unknown), (86430, paid)]
    seen = poll_all(PaymentTracker(PURCHASE), *polls)

    assert seen == PURCHASE.marked_paid(["cs_1"], at=after(86430))
    assert caplog.messages == [
        f"VideoDB lists checkout cs_1 in state {state!r}.",
        "Its documentation does not describe this state. The wait continues.",
    ]


def test_each_undocumented_state_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    words = ["processing", "disputed", "processing", "disputed"]
    poll_all(PaymentTracker(PURCHASE), *[(number, [listed(status=word)]) for number, word in enumerate(words)])

    told = [record.args for record in caplog.records if record.args]
    assert told == [("cs_1", "processing"), ("cs_1", "disputed")]


def test_checkout_in_an_undocumented_state_is_not_missing() -> None:
    unknown = [listed(status="processing")]
    assert poll_all(PaymentTracker(PURCHASE), (0, SEEN), (1, UNSEEN), (2, UNSEEN), (3, unknown), (4, UNSEEN)) is None


@pytest.mark.parametrize(
    ("polls", "gives_up"),
    [
        # One that was never seen may take a minute to show.
        ([(0, UNSEEN), (59.9, UNSEEN)], False),
        ([(0, UNSEEN), (60, UNSEEN)], True),
        ([(0, UNSEEN), (1, UNSEEN), (2, UNSEEN), (3, UNSEEN), (4, UNSEEN)], False),
        ([(0, UNSEEN), (30, UNSEEN), (60, UNSEEN)], True),
        # One that was seen may miss two polls in a row,
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
        ([(0, EXPIRED), (1, UNSEEN), (2, UNSEEN), (3, UNSEEN)], True),
        # A clock that is set back makes it wait for a minute more, and no longer.
        ([(0, UNSEEN), (-3600, UNSEEN), (-3541, UNSEEN)], False),
        ([(0, UNSEEN), (-3600, UNSEEN), (-3540, UNSEEN)], True),
    ],
)
def test_checkout_may_be_missing_while_lag_explains_it(
    polls: list[tuple[float, list[Checkout]]], gives_up: bool
) -> None:
    tracker = PaymentTracker(PURCHASE)
    if not gives_up:
        assert poll_all(tracker, *polls) is None
        return
    with pytest.raises(VideoDBCheckoutMissingError) as caught:
        poll_all(tracker, *polls)
    assert str(caught.value) == str(missing_error(PURCHASE))


@pytest.mark.parametrize(
    ("purchase", "entries", "words"),
    [
        (made(), SEEN, "Nobody has a link to pay the 50 USD that this task asked for."),
        (
            PURCHASE,
            [listed(status="completed")],
            "Checkout cs_1 for 50 USD was paid. Its credits are on the account.",
        ),
        (
            PURCHASE,
            [listed(status="completed"), listed("cs_2", "completed")],
            "Checkout cs_1, cs_2 for 50 USD was paid. Its credits are on the account.",
        ),
        (
            PURCHASE,
            [listed(), listed("cs_2", "completed")],
            "Checkout cs_2 for 50 USD was paid. Its credits are on the account. Do not also pay checkout cs_1: " + LINK,
        ),
        (
            PURCHASE,
            [listed(), listed("cs_0", "completed")],
            "Checkout cs_0 for 20 USD was paid. Its credits are on the account. Do not also pay checkout cs_1: " + LINK,
        ),
        (PURCHASE, EXPIRED, "Checkout cs_1 for 50 USD expired unpaid, so it can no longer be paid."),
        # What is too young to have expired may be payable.
        (
            PURCHASE,
            YOUNG,
            "Checkout cs_1 for 50 USD can be paid until it expires, because VideoDB cannot cancel one: " + LINK,
        ),
        (
            PURCHASE,
            [listed(status="processing")],
            "Checkout cs_1 for 50 USD can be paid until it expires, because VideoDB cannot cancel one: " + LINK,
        ),
        (
            PURCHASE,
            SEEN,
            "Checkout cs_1 for 50 USD can be paid until it expires, because VideoDB cannot cancel one: " + LINK,
        ),
        (
            PURCHASE,
            UNSEEN,
            "Checkout cs_1 for 50 USD can be paid until it expires, because VideoDB cannot cancel one: " + LINK,
        ),
    ],
)
def test_open_payment_says_what_people_can_still_pay(purchase: Purchase, entries: list[Checkout], words: str) -> None:
    assert describe_open_payment(purchase, by_id(entries), now=after(60)) == words


@pytest.mark.parametrize(
    ("polls", "is_open"),
    [
        ([], False),
        ([(0, SEEN)], True),
        ([(0, UNSEEN)], False),
        ([(0, EXPIRED)], False),
        ([(0, SEEN), (1, UNSEEN)], False),
        ([(0, SEEN), (1, EXPIRED)], False),
        ([(0, UNSEEN), (1, EXPIRED), (2, SEEN)], True),
        # Somebody may be paying, so nobody is reminded.
        ([(0, [listed(status="processing")])], False),
    ],
)
def test_checkout_is_open_while_the_latest_poll_lists_it(
    polls: list[tuple[float, list[Checkout]]], is_open: bool
) -> None:
    tracker = PaymentTracker(PURCHASE)
    if polls:
        poll_all(tracker, *polls)
    assert tracker.is_open is is_open
