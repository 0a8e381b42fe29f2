"""Limits of a checkout that exists, before its link is shared."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.limits import (
    SpendLimits,
    check_before_sharing_link,
)
from tests.support.limit_checks import ALL_LIMITS, FIRST_MINUTE, NOW, TODAY, checkout, unreadable


def own(amount=50, status="pending", created_at=TODAY, **fields):
    return checkout(amount, status, created_at, checkout_id="cs_own", **fields)


def other(amount=50, status="pending", created_at=TODAY, *, checkout_id="cs_other", **fields):
    return checkout(amount, status, created_at, checkout_id=checkout_id, **fields)


def hand_out(*checkouts, amount=50, checkout_id="cs_own", now=NOW, currency=None, **limits):
    check_before_sharing_link(
        amount, SpendLimits(**limits), checkout_id=checkout_id, checkouts=checkouts, now=now, currency=currency
    )


def withheld(*checkouts, **arguments):
    with pytest.raises(VideoDBLimitExceededError) as caught:
        hand_out(*checkouts, **arguments)
    assert "Nothing was bought" not in str(caught.value)
    assert str(caught.value).count("Next step: ") == 1
    return str(caught.value)


EARLIER, LATER = "2024-02-15T10:59:59Z", "2024-02-15T11:00:01Z"


class TestBeforeSharingLink:
    @pytest.mark.parametrize("limits", [{}, *ALL_LIMITS[:3]], ids=str)
    def test_link_within_the_limits_is_shared(self, limits):
        hand_out(own(), other(), **limits)

    @pytest.mark.parametrize(
        "limits",
        [
            {"max_topup_amount": Decimal("49.99")},
            {"max_amount": 49},
            {"monthly_topup_limit": Decimal(49)},
            {"monthly_topup_limit": Decimal(0)},
        ],
        ids=str,
    )
    def test_lowered_limit_withholds_the_link(self, limits):
        text = withheld(own(), **limits)
        assert text.startswith("50 USD ")
        assert (
            "Checkout cs_own for 50 USD was made, but its link is withheld. Nobody can pay it, and it expires after "
            "24 hours. Next step: "
        ) in text
        assert "charge" not in text

    def test_limits_of_one_purchase_need_no_list(self):
        hand_out(max_topup_amount=Decimal(50))
        withheld(max_topup_amount=Decimal(49))

    @pytest.mark.parametrize(
        ("rival", "is_withheld"),
        [
            (other(10, created_at=EARLIER), False),
            (other(11, created_at=EARLIER), True),
            (other(11, created_at=LATER), False),
            # Of the same second, one of the two is earlier for both.
            (other(11, checkout_id="cs_0"), True),
            (other(11, checkout_id="cs_z"), False),
            (replace(other(11), id=None), True),
            # What is paid leaves no room, however late it was made.
            (other(11, "completed", LATER), True),
            (other(10, "completed", LATER), False),
            (other(11, "processing", EARLIER), True),
            (other(11, "expired", EARLIER), True),
            (other(11, "expired", "2024-02-14T11:59:59Z"), False),
            (unreadable("created_at", amount=11, checkout_id="cs_other"), True),
            (unreadable("amount", created_at=EARLIER), True),
            (unreadable("amount", created_at=LATER), False),
            (other(11, created_at=EARLIER, currency="eur"), True),
            (other(-100, created_at=EARLIER), False),
        ],
        ids=str,
    )
    def test_later_checkout_breaks_the_month(self, rival, is_withheld):
        for entries in ((own(), rival), (rival, own())):
            if is_withheld:
                withheld(*entries, monthly_topup_limit=Decimal(60))
            else:
                hand_out(*entries, monthly_topup_limit=Decimal(60))

    @pytest.mark.parametrize("checkout_id", ["0", "AA", "cs_1"])
    def test_entry_without_an_id_comes_first_in_its_second(self, checkout_id):
        nameless, mine = replace(other(11), id=None), replace(own(), id=checkout_id)
        withheld(mine, nameless, checkout_id=checkout_id, monthly_topup_limit=Decimal(60))

    @pytest.mark.parametrize("second", [EARLIER, TODAY, LATER])
    @pytest.mark.parametrize(("amount", "limit"), [(60, 100), (50, 99), (100, 100)])
    def test_one_of_two_checkouts_at_once_is_shared(self, second, amount, limit):
        one, two = own(amount), other(amount, created_at=second)
        refused = []
        for checkout_id in ("cs_own", "cs_other"):
            try:
                hand_out(one, two, amount=amount, checkout_id=checkout_id, monthly_topup_limit=Decimal(limit))
            except VideoDBLimitExceededError:
                refused.append(checkout_id)
        assert len(refused) == 1

    @pytest.mark.parametrize("mine", [replace(own(), created_at=None), unreadable("created_at", checkout_id="cs_own")])
    def test_checkout_without_a_date_comes_last(self, mine):
        withheld(mine, other(11, created_at=LATER), monthly_topup_limit=Decimal(60))

    @pytest.mark.parametrize("checkout_id", [None, "cs_own"])
    def test_unlisted_checkout_comes_last(self, checkout_id):
        text = withheld(other(11, created_at=LATER), checkout_id=checkout_id, monthly_topup_limit=Decimal(60))
        name = "Checkout cs_own" if checkout_id else "A new checkout"
        assert (
            f" 11 USD in 1 checkout count already. {name} for 50 USD was made, but its link is withheld. Nobody can "
            "pay it, and it expires after 24 hours. An account with a stored card may have been charged. Next step: "
            "check VideoDB's console for a charge, then wait"
        ) in text
        hand_out(other(10, created_at=LATER), checkout_id=checkout_id, monthly_topup_limit=Decimal(60))

    @pytest.mark.parametrize(
        ("made_at", "now", "is_withheld"),
        [
            ("2024-01-31T23:59:59Z", FIRST_MINUTE, True),
            ("2024-02-01T00:00:00Z", datetime(2024, 1, 31, 23, 59, tzinfo=UTC), False),
        ],
    )
    def test_month_follows_the_clock_of_videodb(self, made_at, now, is_withheld):
        in_january = other(11, "completed", "2024-01-15T00:00:00Z")
        arguments = {"now": now, "monthly_topup_limit": Decimal(60)}
        if is_withheld:
            assert "(2024-01, UTC)" in withheld(own(created_at=made_at), in_january, **arguments)
        else:
            hand_out(own(created_at=made_at), in_january, **arguments)

    def test_payable_link_of_last_month_counts(self):
        last_month = other(11, created_at="2024-01-31T23:59:59Z")
        mine = own(created_at="2024-02-01T00:00:30Z")
        withheld(mine, last_month, now=FIRST_MINUTE, monthly_topup_limit=Decimal(60))

    @pytest.mark.parametrize(
        ("listed_as", "arguments"),
        [
            (own(currency="eur"), {}),
            (own(currency="eur"), {"currency": "usd"}),
            (replace(own(), currency=None), {"currency": "eur"}),
            (unreadable("currency", amount=50, checkout_id="cs_own"), {"currency": "eur"}),
            (own("59.5"), {}),
        ],
    )
    @pytest.mark.parametrize("limit", ["max_topup_amount", "max_amount", "monthly_topup_limit"])
    def test_checkout_is_compared_as_it_was_made(self, listed_as, arguments, limit):
        withheld(listed_as, **arguments, **{limit: Decimal(50)})

    @pytest.mark.parametrize(
        "limits",
        [{"max_topup_amount": Decimal(49)}, {"max_amount": 49}, {"monthly_topup_limit": Decimal(60)}],
        ids=str,
    )
    def test_stored_card_charged_at_once_is_reported(self, limits):
        text = withheld(own(status="completed"), other(11, created_at=EARLIER), **limits)
        assert text.startswith(
            "50 USD WAS CHARGED to a stored card for checkout cs_own, although it breaks a limit. 50 USD "
        )
        assert text.endswith(
            "Next step: ask VideoDB's support for a refund. Then remove the stored card from the VideoDB account, so "
            "that a person must confirm every purchase."
        )
        assert "withheld" not in text

    @pytest.mark.parametrize("status", ["processing", "expired", "weird", ""])
    def test_state_in_between_may_mean_a_charge(self, status):
        mine = replace(own(), status=status)
        assert "may have been charged" in withheld(mine, max_topup_amount=Decimal(49))

    def test_charge_within_the_limits_is_not_an_error(self):
        hand_out(own(status="completed"), other(10, created_at=EARLIER), monthly_topup_limit=Decimal(60))
