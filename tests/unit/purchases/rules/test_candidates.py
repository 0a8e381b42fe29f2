"""Which entries of the list may be a purchase's, and what they say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.purchases.rules.candidates import (
    can_have_expired,
    candidates,
    describe_checkout,
    made_at,
    paid_ids,
    recent_ids,
    status_of,
)
from tests.support.checkouts import NOON, YESTERDAY, after, asked, listed, made

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

MICROSECOND = timedelta(microseconds=1)
FIRST_MOMENT, LAST_MOMENT = NOON - timedelta(minutes=5, seconds=1), NOON + timedelta(minutes=10)
SECOND_POST = asked(posts=(NOON.isoformat(), after(3600).isoformat()))
LONG_AGO = NOON - timedelta(days=1)


@pytest.mark.parametrize(
    ("purchase", "entry", "may_be"),
    [
        (asked(), listed(), True),
        (asked(), listed(status="completed"), True),
        (asked(), listed(status="a new word"), True),
        (asked(), listed(amount="50.00"), True),
        (asked(), listed(amount=51), False),
        (asked(), listed(amount="50.01"), False),
        # What the list does not say readably may be as it was asked for; what it says is not there is not.
        (asked(), listed(made_at=None), True),
        (asked(), listed(made_at=None, unreadable=("created_at",)), True),
        (asked(posts=()), listed(made_at=None), True),
        (asked(), listed(made_at=None, amount=51), False),
        (asked(), listed(amount=None, unreadable=("amount",)), True),
        (asked(), listed(amount=None, unreadable=("currency",)), True),
        (asked(), listed(amount=None), True),
        (asked(), listed(made_at=LONG_AGO, amount=None, unreadable=("amount",)), False),
        (asked(), listed(None, made_at=None, amount=None, unreadable=("amount",)), True),
        (asked(excluded_ids=("cs_1",)), listed(made_at=None), False),
        (asked(excluded_ids=("cs_1",)), listed(amount=None, unreadable=("amount",)), False),
        (asked(), listed(None), True),
        (asked(), listed(made_at=FIRST_MOMENT), True),
        (asked(), listed(made_at=FIRST_MOMENT - MICROSECOND), False),
        (asked(), listed(made_at=LAST_MOMENT), True),
        (asked(), listed(made_at=LAST_MOMENT + MICROSECOND), False),
        (SECOND_POST, listed(), True),
        (SECOND_POST, listed(made_at=after(1800)), False),
        (SECOND_POST, listed(made_at=after(3600)), True),
        (asked(posts=()), listed(), False),
        (asked(excluded_ids=("cs_1",)), listed(), False),
        (asked(excluded_ids=("cs_2",)), listed(), True),
        # What is known to be an orphan is one, however old.
        (asked(orphans=("cs_1",)), listed(made_at=LONG_AGO), True),
        (asked(orphans=("cs_1",)), listed(amount=51), True),
        (asked(orphans=("cs_2",)), listed(made_at=LONG_AGO), False),
        # What has ended is watched for its payment, and was not made by this POST.
        (asked(ended={"cs_1": 50}), listed(made_at=LONG_AGO), False),
    ],
)
def test_candidate_matches_amount_and_time_or_is_an_orphan(purchase: Purchase, entry: Checkout, may_be: bool) -> None:
    assert candidates(purchase, [entry]) == ([entry] if may_be else [])


def test_candidates_keep_the_order_of_the_list() -> None:
    entries = [listed("cs_3"), listed("cs_1", amount=1), listed("cs_2")]
    assert [entry.id for entry in candidates(asked(), entries)] == ["cs_3", "cs_2"]


def test_recent_checkouts_are_too_young_to_tell_by_date() -> None:
    ten_minutes_ago = NOON - timedelta(minutes=10)
    entries = [
        listed("cs_now"),
        listed("cs_10", made_at=ten_minutes_ago),
        listed("cs_older", made_at=ten_minutes_ago - MICROSECOND),
        listed("cs_ahead", made_at=LAST_MOMENT),
        listed("cs_paid", "completed", amount=7),
        listed("cs_dateless", made_at=None),
        listed(None),
    ]
    assert recent_ids(entries, now=NOON) == ("cs_now", "cs_10", "cs_ahead", "cs_paid", "cs_dateless")


@pytest.mark.parametrize(
    ("purchase", "entries", "paid"),
    [
        (made(), [], ()),
        (made(), [listed()], ()),
        (made(), [listed(status="expired")], ()),
        (made(), [listed(status="Completed")], ()),
        (made(), [listed(status="completed")], ("cs_1",)),
        (made(), [listed("cs_2", "completed")], ()),
        (made(orphans=("cs_2",)), [listed("cs_2", "completed"), listed()], ("cs_2",)),
        (made(orphans=("cs_2",)), [listed("cs_2", "completed"), listed(status="completed")], ("cs_1", "cs_2")),
        (made(orphans=("cs_1",)), [listed(status="completed")], ("cs_1",)),
        (asked(), [listed(status="completed")], ()),
        (asked(orphans=("cs_1",)), [listed(status="completed")], ("cs_1",)),
        (made(ended={"cs_2": 20}), [listed("cs_2", "completed"), listed()], ("cs_2",)),
        (asked(ended={"cs_2": 20, "cs_3": 30}), [listed("cs_3", "completed"), listed("cs_2", "expired")], ("cs_3",)),
        (
            made(orphans=("cs_3",), ended={"cs_2": 20}),
            [listed("cs_2", "completed"), listed("cs_3", "completed"), listed(status="completed")],
            ("cs_1", "cs_3", "cs_2"),
        ),
    ],
)
def test_paid_checkouts_are_its_own_and_completed(
    purchase: Purchase, entries: list[Checkout], paid: tuple[str, ...]
) -> None:
    assert paid_ids(purchase, by_id(entries)) == paid


@pytest.mark.parametrize(
    ("purchase", "entries", "status"),
    [
        (asked(), [listed()], None),
        (made(), [], None),
        (made(), [listed("cs_2")], None),
        (made(), [listed()], "pending"),
        (made(), [listed(status="completed")], "completed"),
        (made(), [listed(status="expired")], "expired"),
        # Whoever judges it knows which words there are.
        (made(), [listed(status="processing")], "processing"),
        (made(), [listed(status="")], ""),
    ],
)
def test_status_is_that_of_its_own_checkout(purchase: Purchase, entries: list[Checkout], status: str | None) -> None:
    assert status_of(purchase, by_id(entries)) == status


@pytest.mark.parametrize(
    ("purchase", "entries", "moment"),
    [
        (made(), [listed(made_at=after(7))], after(7)),
        (made(), [listed(made_at=YESTERDAY)], YESTERDAY),
        # Where VideoDB tells no date, it was made when it was asked for, by the last POST.
        (made(), [listed(made_at=None)], NOON),
        (made(), [], NOON),
        (made(), [listed("cs_2", made_at=YESTERDAY)], NOON),
        (made(posts=(YESTERDAY.isoformat(), after(60).isoformat())), [], after(60)),
        (made(posts=()), [listed(made_at=None)], None),
        (asked(posts=()), [listed(None, made_at=YESTERDAY)], None),
    ],
)
def test_checkout_is_as_old_as_listed_or_as_its_post(
    purchase: Purchase, entries: list[Checkout], moment: datetime | None
) -> None:
    assert made_at(purchase, by_id(entries)) == moment


@pytest.mark.parametrize(
    ("now", "can"),
    [
        (NOON, False),
        (after(3600), False),
        # A clock of ours that is off by as much as clocks may be.
        (NOON + timedelta(hours=23, minutes=55) - MICROSECOND, False),
        (NOON + timedelta(hours=23, minutes=55), True),
        (NOON + timedelta(hours=24), True),
        (NOON + timedelta(days=30), True),
        # One that is set back, or VideoDB's set ahead, makes it younger.
        (YESTERDAY, False),
    ],
)
def test_checkout_of_full_lifetime_can_have_expired(now: datetime, can: bool) -> None:
    assert can_have_expired(made(), by_id([listed()]), now=now) is can


def test_checkout_of_unknown_age_cannot_have_expired() -> None:
    entries = by_id([listed(made_at=None)])
    assert can_have_expired(made(posts=()), entries, now=NOON + timedelta(days=30)) is False
    assert can_have_expired(made(), entries, now=NOON + timedelta(days=30)) is True


@pytest.mark.parametrize(
    ("checkout", "text"),
    [
        (listed(), "cs_1: 50 USD, pending, made 2026-01-15 12:00:00 UTC"),
        (listed("cs_2", "completed", amount="49.50"), "cs_2: 49.5 USD, completed, made 2026-01-15 12:00:00 UTC"),
        (listed(status="on_hold", made_at=None), "cs_1: 50 USD, on_hold, made on an unreadable date"),
        (listed(None, ""), "without an id: 50 USD, in an unreadable state, made 2026-01-15 12:00:00 UTC"),
        (listed(amount=None), "cs_1: an unreadable amount USD, pending, made 2026-01-15 12:00:00 UTC"),
        # What comes from outside and has an odd form is not repeated.
        (
            replace(listed(status="a secret!"), currency="sk-1"),
            "cs_1: 50 of an unknown currency, in an unreadable state",
        ),
    ],
)
def test_checkout_is_described_as_the_console_shows_it(checkout: Checkout, text: str) -> None:
    assert describe_checkout(checkout).startswith(text)
