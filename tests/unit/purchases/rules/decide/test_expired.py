"""Decisions on a checkout that VideoDB calls expired."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
)
from airflow_provider_videodb.purchases.rules.decide import Fail, Paid, Recheck, StartPurchase, decide
from airflow_provider_videodb.purchases.rules.messages import (
    expired_error,
)
from tests.support.checkouts import LINK_ALONE, LINK_SHARED, NOON, YESTERDAY, after, expired, listed, made
from tests.support.observations import error_of, seen

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


@pytest.mark.parametrize(
    ("record", "entry", "found"),
    [
        (made(), expired(), made()),
        (LINK_SHARED, expired(), LINK_SHARED),
        (made(orphans=("cs_2",)), expired(), made(orphans=("cs_2",))),
        (
            LINK_ALONE,
            listed(status="expired", made_at=after(-300)),
            LINK_ALONE.matched(listed()),
        ),
    ],
)
class TestExpiredCheckout:
    @pytest.mark.parametrize(
        ("expired_for", "seconds"),
        [(None, 10), (timedelta(0), 10), (timedelta(seconds=9.75), 0.25), (timedelta(seconds=-1), 11)],
    )
    def test_expired_checkout_is_not_believed_at_one_poll(
        self, record: Purchase, entry: Checkout, found: Purchase, expired_for: timedelta | None, seconds: float
    ) -> None:
        action = decide(record, seen(entry, expired_for=expired_for))

        # What was found of it goes into the next look, or there would be no end of looking.
        assert action == Recheck(seconds=seconds, purchase=found)

    @pytest.mark.parametrize("expired_for", [timedelta(seconds=10), timedelta(days=1)])
    @pytest.mark.parametrize("generation", [0, 4])
    def test_expired_checkout_is_replaced_by_the_next_generation(
        self, record: Purchase, entry: Checkout, found: Purchase, expired_for: timedelta, generation: int
    ) -> None:
        record, found = replace(record, generation=generation), replace(found, generation=generation)
        a_day_later = entry.created_at + timedelta(hours=24)
        observation = seen(entry, expired_for=expired_for, now=a_day_later)

        assert decide(record, observation) == StartPurchase(after=found)

    @pytest.mark.parametrize("too_young_by", [timedelta(microseconds=1), timedelta(hours=1), timedelta(days=30)])
    def test_expired_checkout_is_not_replaced_while_it_is_young(
        self, record: Purchase, entry: Checkout, found: Purchase, too_young_by: timedelta
    ) -> None:
        old_enough = entry.created_at + timedelta(hours=23, minutes=55)
        observation = seen(entry, now=old_enough - too_young_by)
        action = decide(record, observation)

        assert error_of(action, VideoDBCheckoutExpiredError) == str(
            expired_error(found, observation.listed, now=observation.now)
        )
        assert "may still be payable" in str(action.error)
        assert action == Fail(error=action.error)


@pytest.mark.parametrize(
    ("record", "now", "replaced"),
    [
        # The list tells no date: the POST was sent at noon.
        (made(), after(3600), False),
        (made(), after(24 * 3600), True),
        # Of two POSTs it may be the younger one's.
        (made(posts=(YESTERDAY.isoformat(), NOON.isoformat())), after(3600), False),
        # Nobody knows.
        (made(posts=()), after(24 * 3600), False),
    ],
)
def test_checkout_without_a_date_is_as_old_as_its_post(record: Purchase, now: datetime, replaced: bool) -> None:
    action = decide(record, seen(listed(status="expired", made_at=None), now=now))

    assert isinstance(action, StartPurchase) is replaced
    assert isinstance(action, Fail) is not replaced


def test_expired_checkout_that_was_paid_counts_as_paid() -> None:
    assert decide(LINK_SHARED, seen(listed(status="completed"), expired_for=None)) == Paid(
        purchase=LINK_SHARED.marked_paid(["cs_1"], at=after(60))
    )
