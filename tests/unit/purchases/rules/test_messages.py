"""What a person reads of a purchase that cannot go on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.purchases.rules.messages import (
    another_account_error,
    cannot_tell_error,
    expired_error,
    missing_error,
    undecided_error,
)
from airflow_provider_videodb.purchases.rules.resolution import how_to_resolve
from tests.support.checkouts import LINK, NOON, after, asked, expired, listed, made

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

LOOK_FOR_IT = (
    "Look for it in VideoDB's console, and check that the connection still leads to the account that it was made on. A "
    "retry of the task looks again and makes no second one."
)
TWICE = asked(posts=(after().isoformat(), after(30).isoformat()))


@pytest.mark.parametrize(
    ("record", "name", "link"),
    [
        (made(), "cs_1", ""),
        (made(link_shared=True), "cs_1", f"Its link may still be payable: {LINK} "),
        (asked(payment_url=LINK), "that was just made", ""),
    ],
)
def test_a_missing_checkout_shows_the_link_only_where_people_have_it(record: Purchase, name: str, link: str) -> None:
    assert str(missing_error(record)) == (
        f"Checkout {name} over 50 USD is not in VideoDB's list, so whether it was paid cannot be told. {link}"
        f"{LOOK_FOR_IT}"
    )


@pytest.mark.parametrize(
    ("entry", "now"),
    [(expired(), NOON), (expired(), NOON - timedelta(minutes=5)), (listed(status="expired"), after(24 * 3600))],
)
def test_what_can_have_expired_gets_a_new_link(entry: Checkout, now: datetime) -> None:
    assert str(expired_error(made(), by_id([entry]), now=now)) == (
        "Checkout cs_1 over 50 USD expired unpaid: its link cannot be paid any more. Retry or clear the task to get a "
        "new link."
    )


@pytest.mark.parametrize(
    ("record", "entry", "made_at"),
    [
        (made(), listed(status="expired", made_at=after(-1)), "2026-01-15 11:59:59+00:00"),
        (made(), listed(status="expired", made_at=None), "2026-01-15 12:00:00+00:00"),
        (made(posts=()), listed(status="expired", made_at=None), "None"),
    ],
)
def test_what_cannot_have_expired_may_still_be_payable(record: Purchase, entry: Checkout, made_at: str) -> None:
    assert str(expired_error(record, by_id([entry]), now=after(3600))) == (
        f"VideoDB calls checkout cs_1 over 50 USD expired. It was made at {made_at}, and VideoDB's documents say that "
        "a checkout lives 24 hours, so its link may still be payable. Nothing more was bought. A retry looks again. "
        f"{how_to_resolve(record)}"
    )


def test_an_undecided_checkout_is_named_and_looked_at_again() -> None:
    assert str(undecided_error(TWICE, [listed(status="processing"), listed("cs_2", "")])) == (
        "A top-up of 50 USD was asked for at 2026-01-15T12:00:30+00:00 and its answer was lost. VideoDB lists what may "
        "be its checkout in a state that its documents do not know: cs_1: 50 usd, processing, 2026-01-15 "
        "12:00:00+00:00; cs_2: 50 usd, , 2026-01-15 12:00:00+00:00. Nothing more was bought. A retry of the task looks "
        "again."
    )


def test_a_lost_answer_of_another_account_is_left_to_a_person() -> None:
    assert str(another_account_error(TWICE)) == (
        "A top-up of 50 USD was asked for at 2026-01-15T12:00:30+00:00 and its answer was lost or named no checkout. "
        "The connection has had another key or address since, so whether the first account was charged cannot "
        f"be told. Nothing more was bought. {how_to_resolve(TWICE)}"
    )


def test_what_cannot_be_told_apart_is_named() -> None:
    assert str(cannot_tell_error(TWICE, [listed(), listed("cs_2", "completed")])) == (
        "A top-up of 50 USD was asked for at 2026-01-15T12:00:30+00:00 and its answer was lost or named no checkout. "
        "Whether it is one of these cannot be told: cs_1: 50 usd, pending, 2026-01-15 12:00:00+00:00; cs_2: 50 usd, "
        "completed, 2026-01-15 12:00:00+00:00. Nothing more was bought. Look at the checkouts in VideoDB's console, "
        "then either run `airflow variables set videodb_answer_0123456789abcdef CHECKOUT_ID` (it was this one) or "
        "`airflow variables set videodb_answer_0123456789abcdef buy` (none of them, buy), and clear the task."
    )
