"""Errors of a purchase that cannot go on, word by word."""

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

TWICE = asked(posts=(after().isoformat(), after(30).isoformat()))


@pytest.mark.parametrize(
    ("record", "name", "link"),
    [
        (made(), "cs_1", " "),
        (made(link_shared=True), "cs_1", f" Its link may still be payable:\n{LINK}\n"),
        (asked(payment_url=LINK), "that was just made", " "),
    ],
)
def test_missing_checkout_shows_only_a_shared_link(record: Purchase, name: str, link: str) -> None:
    assert str(missing_error(record)) == (
        f"Checkout {name} for 50 USD is not in VideoDB's list, so it is unknown whether it was paid. Nothing more was "
        f"bought.{link}Next step: look for it in VideoDB's console. Check that the connection still uses that "
        "account. Then retry the task, which makes no second checkout."
    )


@pytest.mark.parametrize(
    ("entry", "now"),
    [(expired(), NOON), (expired(), NOON - timedelta(minutes=5)), (listed(status="expired"), after(24 * 3600))],
)
def test_old_expired_checkout_gets_a_new_link(entry: Checkout, now: datetime) -> None:
    assert str(expired_error(made(), by_id([entry]), now=now)) == (
        "Checkout cs_1 for 50 USD expired unpaid, so its link can no longer be paid. Nothing more was bought. Next "
        "step: retry or clear the task to get a new link."
    )


@pytest.mark.parametrize(
    ("record", "entry", "made_at"),
    [
        (made(), listed(status="expired", made_at=after(-1)), "it was made 2026-01-15 11:59:59 UTC"),
        (made(), listed(status="expired", made_at=None), "it was made 2026-01-15 12:00:00 UTC"),
        (made(posts=()), listed(status="expired", made_at=None), "its age is unknown"),
    ],
)
def test_young_expired_checkout_may_still_be_payable(record: Purchase, entry: Checkout, made_at: str) -> None:
    assert str(expired_error(record, by_id([entry]), now=after(3600))) == (
        f"VideoDB calls checkout cs_1 for 50 USD expired, but {made_at} and a checkout lives for 24 hours. So its "
        f"link may still be payable. Nothing more was bought. {how_to_resolve(record)}"
    )


def test_undecided_checkouts_are_named_one_per_line() -> None:
    assert str(undecided_error(TWICE, [listed(status="processing"), listed("cs_2", "")])) == (
        "This task asked for 50 USD at 2026-01-15 12:00:30 UTC, but no response named a checkout. VideoDB lists these "
        "candidates in a state that its documentation does not describe:\n"
        "cs_1: 50 USD, processing, made 2026-01-15 12:00:00 UTC\n"
        "cs_2: 50 USD, in an unreadable state, made 2026-01-15 12:00:00 UTC\n"
        "Nothing more was bought. Next step: retry the task later, when VideoDB lists another state."
    )


def test_unknown_outcome_at_another_account_is_left_to_a_person() -> None:
    assert str(another_account_error(TWICE)) == (
        "This task asked for 50 USD at 2026-01-15 12:00:30 UTC, but no response named a checkout. The connection has "
        "another key or address now, so it is unknown whether the first account was charged. Nothing more was bought. "
        f"{how_to_resolve(TWICE)}"
    )


def test_unknown_outcome_names_candidates_and_ways_out_by_line() -> None:
    assert str(cannot_tell_error(TWICE, [listed(), listed("cs_2", "completed")])) == (
        "This task asked for 50 USD at 2026-01-15 12:00:30 UTC, but no response named a checkout. Any of these "
        "candidates may be its checkout:\n"
        "cs_1: 50 USD, pending, made 2026-01-15 12:00:00 UTC\n"
        "cs_2: 50 USD, completed, made 2026-01-15 12:00:00 UTC\n"
        "Nothing more was bought. Next step: find this task's checkout in VideoDB's console. Set the Variable below to "
        "its id, or to buy if there is none. Then clear the task.\n"
        "UI: Admin > Variables, set videodb_resolution_0123456789abcdef to CHECKOUT_ID\n"
        "UI: Admin > Variables, set videodb_resolution_0123456789abcdef to buy\n"
        "airflow variables set videodb_resolution_0123456789abcdef CHECKOUT_ID\n"
        "airflow variables set videodb_resolution_0123456789abcdef buy\n"
        "Or let this command list the candidates, check your choice and write it:\n"
        "airflow videodb answer"
    )


@pytest.mark.parametrize(
    "error",
    [
        missing_error(made(link_shared=True)),
        expired_error(made(), by_id([expired()]), now=NOON),
        expired_error(made(), by_id([listed(status="expired")]), now=NOON),
        undecided_error(made(), [listed(status="processing")]),
        another_account_error(made()),
        cannot_tell_error(made(), [listed()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_error_says_state_and_one_next_step(error: Exception) -> None:
    assert str(error).count("Next step: ") == 1
    assert str(error).count("Nothing more was bought.") == 1
