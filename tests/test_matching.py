"""Which entries of the list may be a purchase's, and what they say of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import VideoDBResponseError
from airflow_provider_videodb.matching import candidates, in_words, paid_ids, status_of
from airflow_provider_videodb.models import by_id
from tests.support.checkouts import NOON, after, asked, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.record import Purchase

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
        (asked(), listed(made_at=None), False),
        (asked(), listed(None), True),
        (asked(), listed(made_at=FIRST_MOMENT), True),
        (asked(), listed(made_at=FIRST_MOMENT - MICROSECOND), False),
        (asked(), listed(made_at=LAST_MOMENT), True),
        (asked(), listed(made_at=LAST_MOMENT + MICROSECOND), False),
        (SECOND_POST, listed(), True),
        (SECOND_POST, listed(made_at=after(1800)), False),
        (SECOND_POST, listed(made_at=after(3600)), True),
        (asked(posts=()), listed(), False),
        (asked(not_ours=("cs_1",)), listed(), False),
        (asked(not_ours=("cs_2",)), listed(), True),
        # What is known to be an orphan is one, however old.
        (asked(orphans=("cs_1",)), listed(made_at=LONG_AGO), True),
        (asked(orphans=("cs_2",)), listed(made_at=LONG_AGO), False),
    ],
)
def test_a_candidate_is_of_the_amount_and_the_time_of_a_post_or_a_known_orphan(
    purchase: Purchase, entry: object, may_be: bool
) -> None:
    assert candidates(purchase, [entry]) == ([entry] if may_be else [])


def test_candidates_are_in_the_order_of_the_list() -> None:
    entries = [listed("cs_3"), listed("cs_1", amount=1), listed("cs_2")]
    assert [entry.id for entry in candidates(asked(), entries)] == ["cs_3", "cs_2"]


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
    ],
)
def test_paid_is_what_is_known_to_be_its_own_and_completed(
    purchase: Purchase, entries: list[object], paid: tuple[str, ...]
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
    ],
)
def test_the_status_is_that_of_its_checkout(purchase: Purchase, entries: list[object], status: str | None) -> None:
    assert status_of(purchase, by_id(entries)) == status


def test_a_status_of_no_known_word_is_an_error_that_names_it() -> None:
    with pytest.raises(VideoDBResponseError) as caught:
        status_of(made(), by_id([listed(status="disputed")]))
    assert str(caught.value) == (
        "Checkout cs_1 has the status 'disputed', which VideoDB's documents do not know; it is not taken for paid. "
        "Look at it in VideoDB's console."
    )


def test_checkouts_are_named_as_a_person_finds_them_in_the_console() -> None:
    assert in_words([listed(), listed("cs_2", "completed", amount="49.5")]) == (
        "cs_1: 50 usd, pending, 2026-01-15 12:00:00+00:00; cs_2: 49.5 usd, completed, 2026-01-15 12:00:00+00:00"
    )
