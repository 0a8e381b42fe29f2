"""When a reminder of a payment is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.purchases.rules.reminders import next_reminder
from tests.support.checkouts import NOON, after, made

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

NOW = after(600).timestamp()


@pytest.mark.parametrize(
    ("purchase", "due"),
    [
        (made(posts=(NOON.isoformat(),)), 3600),
        # A retry counts from the last reminder of any try.
        (made(posts=(NOON.isoformat(),), reminded_at=after(300).isoformat()), 3900),
        (made(posts=()), 4200),
        # The clock of that worker was ahead.
        (made(posts=(after(10**9).isoformat(),)), 4200),
    ],
)
def test_reminder_is_due_one_interval_after_the_last_message(purchase: Purchase, due: float) -> None:
    assert next_reminder(purchase, remind_every=3600, now=NOW) == NOON.timestamp() + due


def test_no_interval_means_no_reminder() -> None:
    assert next_reminder(made(), remind_every=None, now=NOW) is None
