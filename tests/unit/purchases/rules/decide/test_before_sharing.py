"""Decisions before a link is shared, under limits."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutMissingError,
    VideoDBLimitExceededError,
    VideoDBPurchaseUnknownError,
)
from airflow_provider_videodb.purchases.rules.decide import AwaitPayment, Fail, Paid, Recheck, decide
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.messages import (
    missing_error,
)
from tests.support.checkouts import LINK_ALONE, LINK_SHARED, after, listed, made
from tests.support.observations import MONTHLY, error_of, just_sent, seen

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.observation import Observation
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


class TestBeforeSharingLink:
    @pytest.mark.parametrize(
        ("record", "observation", "action"),
        [
            (made(), just_sent(listed(), limits=MONTHLY), Recheck(seconds=11)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=10), Recheck(seconds=1)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=10.75), Recheck(seconds=0.25)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=11), AwaitPayment(purchase=made())),
            # A list that does not show it yet may hide what is earlier as well.
            (made(), just_sent(limits=MONTHLY, seconds=11), Recheck(seconds=5)),
            (made(), just_sent(limits=MONTHLY, seconds=59.9), Recheck(seconds=5)),
            (made(), just_sent(listed(), limits=MONTHLY, seconds=60), AwaitPayment(purchase=made())),
            # Without a monthly limit there is nothing to look for.
            (made(), just_sent(limits=SpendLimits(max_topup_amount=Decimal(50))), AwaitPayment(purchase=made())),
            (made(), just_sent(limits=SpendLimits()), AwaitPayment(purchase=made())),
            (LINK_SHARED, just_sent(listed(), limits=MONTHLY), AwaitPayment(purchase=LINK_SHARED)),
        ],
    )
    def test_month_is_checked_once_earlier_checkouts_are_listed(
        self, record: Purchase, observation: Observation, action: object
    ) -> None:
        assert decide(record, observation) == action

    @pytest.mark.parametrize(
        ("entries", "withheld"),
        [
            ([listed(), listed("cs_2", amount=10, made_at=after(-1))], False),
            ([listed(), listed("cs_2", amount=11, made_at=after(-1))], True),
            ([listed(), listed("cs_2", amount=11, made_at=after(1))], False),
            # Called expired before its time, it may still be paid.
            ([listed(), listed("cs_2", "expired", amount=11, made_at=after(-1))], True),
            ([listed(), listed("cs_2", "expired", amount=11, made_at=after(60 - 24 * 3600))], False),
            ([listed(), listed("cs_2", "completed", amount=11, made_at=after(-1))], True),
            # Of the same second, one of the two is earlier for both.
            ([listed(), listed("cs_0", amount=11)], True),
            ([listed(), listed("cs_2", amount=11)], False),
            ([listed(), listed(None, amount=11)], True),
            # What has no date may be earlier than all that has.
            ([listed(), listed("cs_2", amount=11, made_at=None)], True),
            ([listed(made_at=None), listed("cs_2", amount=11)], True),
            ([listed(made_at=None), listed("cs_0", amount=11, made_at=None)], True),
        ],
    )
    def test_later_checkout_breaks_the_limit(self, entries: list[Checkout], withheld: bool) -> None:
        action = decide(made(), seen(*entries, limits=MONTHLY))

        assert isinstance(action, Fail) is withheld
        if not withheld:
            assert action == AwaitPayment(purchase=made())

    @pytest.mark.parametrize(
        ("own", "now", "withheld"),
        [
            (
                listed(made_at=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
                datetime(2026, 2, 1, 0, 1, tzinfo=UTC),
                True,
            ),
            (listed(made_at=datetime(2026, 2, 1, tzinfo=UTC)), datetime(2026, 1, 31, 23, 59, tzinfo=UTC), False),
            # Where it has no date, our own clock has to do.
            (listed(made_at=None), datetime(2026, 1, 31, 23, 59, tzinfo=UTC), True),
            (listed(made_at=None), datetime(2026, 2, 1, 0, 1, tzinfo=UTC), False),
        ],
    )
    def test_month_follows_the_clock_of_videodb(self, own: Checkout, now: datetime, withheld: bool) -> None:
        observation = seen(own, listed("cs_2", amount=11), now=now, limits=MONTHLY)

        assert isinstance(decide(made(), observation), Fail) is withheld

    def test_checkout_that_is_never_listed_withholds_its_link(self) -> None:
        action = decide(made(), seen(listed("cs_2", amount=10), limits=MONTHLY))

        error_of(action, VideoDBCheckoutMissingError)
        assert action == Fail(error=action.error, purchase=made())

    @pytest.mark.parametrize("limits", [SpendLimits(max_topup_amount=Decimal(49)), SpendLimits(max_amount=49)])
    def test_limit_lowered_after_the_post_withholds_the_link(self, limits: SpendLimits) -> None:
        action = decide(made(), just_sent(listed(), limits=limits))

        assert "withheld" in error_of(action, VideoDBLimitExceededError)
        assert action == Fail(error=action.error, purchase=made())
        assert decide(LINK_SHARED, just_sent(listed(), limits=limits)) == AwaitPayment(purchase=LINK_SHARED)

    def test_new_limit_in_usd_withholds_a_link_in_another_currency(self) -> None:
        action = decide(made(currency="eur"), just_sent(limits=SpendLimits(max_topup_amount=Decimal(1000))))

        assert "50 EUR cannot be compared" in error_of(action, VideoDBLimitExceededError)

    @pytest.mark.parametrize("checkout_id", ["0", "AA", "cs_1"])
    def test_entry_without_an_id_comes_first_in_its_second(self, checkout_id: str) -> None:
        entries = [listed(checkout_id), listed(None, amount=11)]

        assert isinstance(decide(made(checkout_id=checkout_id), seen(*entries, limits=MONTHLY)), Fail)

    def test_withheld_link_is_kept_and_explained(self) -> None:
        action = decide(made(), seen(listed(), listed("cs_0", amount=20), limits=MONTHLY))

        assert error_of(action, VideoDBLimitExceededError) == (
            "50 USD more would make 70 USD this month (2026-01, UTC); the connection allows 60 USD "
            "(monthly_topup_limit). 20 USD in 1 checkout count already. Checkout cs_1 for 50 USD was made, but its "
            "link is withheld. Nobody can pay it, and it expires after 24 hours. Next step: wait for the next month or "
            "until open checkouts have expired (24 hours), or ask the owner of the connection to raise "
            "monthly_topup_limit."
        )
        assert action == Fail(error=action.error, purchase=made())


class TestLinkWithoutId:
    @pytest.mark.parametrize(
        ("observation", "action"),
        [
            (just_sent(listed()), Recheck(seconds=10)),
            (just_sent(seconds=9.5), Recheck(seconds=0.5)),
            (just_sent(listed(), seconds=10), AwaitPayment(purchase=LINK_ALONE.matched(listed()))),
            (seen(listed(), listed("cs_2", amount=20)), AwaitPayment(purchase=LINK_ALONE.matched(listed()))),
            (
                seen(listed(), listed("cs_2"), claimed_by_others=["cs_2"]),
                AwaitPayment(purchase=LINK_ALONE.matched(listed())),
            ),
            (
                seen(listed(status="completed")),
                Paid(purchase=LINK_ALONE.matched(listed()).marked_paid(["cs_1"], at=after(60))),
            ),
            (seen(listed(status="processing")), AwaitPayment(purchase=LINK_ALONE.matched(listed()))),
            (just_sent(listed(), seconds=10, limits=MONTHLY), Recheck(seconds=1)),
        ],
    )
    def test_link_without_an_id_matches_its_only_candidate(self, observation: Observation, action: object) -> None:
        assert decide(LINK_ALONE, observation) == action

    @pytest.mark.parametrize(
        "observation", [seen(), seen(listed("cs_2", amount=20)), seen(listed(), claimed_by_others=["cs_1"])]
    )
    def test_link_without_an_id_is_missing_without_a_candidate(self, observation: Observation) -> None:
        action = decide(LINK_ALONE, observation)

        assert error_of(action, VideoDBCheckoutMissingError) == str(missing_error(LINK_ALONE))
        assert action == Fail(error=action.error)

    @pytest.mark.parametrize("status", ["pending", "completed", "expired"])
    def test_link_without_an_id_is_unknown_with_two_candidates(self, status: str) -> None:
        action = decide(LINK_ALONE, seen(listed(), listed("cs_2", status)))

        assert f"cs_2: 50 USD, {status}" in error_of(action, VideoDBPurchaseUnknownError)
        assert action == Fail(error=action.error)
