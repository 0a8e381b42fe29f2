"""Check the spending limits before a purchase, with `dag.test()` and the emulator."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.purchases.executor import Clock
from tests.support.purchases import BEFORE_THE_WAIT, TASK, TOPUP, Died, PurchaseRuns

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.emulator.server import Emulator
    from tests.support.purchases import Bought, Person

WHO = {
    "max_topup_amount": "ask the owner of the connection to raise max_topup_amount",
    "monthly_topup_limit": "ask the owner of the connection to raise monthly_topup_limit",
    "max_amount": "ask the author of the DAG to raise max_amount",
}


def assert_refused(bought: Bought, limit: str) -> None:
    assert (bought.state, bought.tries) == ("failed", 1)
    assert isinstance(bought.cause, VideoDBLimitExceededError)
    assert f"({limit})" in str(bought.cause)
    assert ("connection videodb_default" in str(bought.cause)) is (limit != "max_amount")
    assert WHO[limit] in str(bought.cause)
    assert not bought.run.result(TASK, "payment_url")


@pytest.mark.parametrize(
    ("extra", "max_amount", "limit"),
    [
        ({"max_topup_amount": 49}, None, "max_topup_amount"),
        ({"max_topup_amount": "49.99"}, None, "max_topup_amount"),
        ({"max_topup_amount": 0}, None, "max_topup_amount"),
        ({}, 49, "max_amount"),
        ({}, "{{ 49 }}", "max_amount"),
        ({"max_topup_amount": 100}, 40, "max_amount"),
        ({"max_topup_amount": 40}, 100, "max_topup_amount"),
        ({"monthly_topup_limit": 49}, None, "monthly_topup_limit"),
        ({"monthly_topup_limit": 49}, 100, "monthly_topup_limit"),
    ],
    ids=str,
)
def test_amount_over_a_limit_is_not_posted(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    *,
    extra: dict[str, Any],
    max_amount: Any,
    limit: str,
) -> None:
    connect(**extra)
    guard = {} if max_amount is None else {"max_amount": max_amount}
    assert_refused(PurchaseRuns(amount=50, retries=2, **guard).run(), limit)

    assert emulator.calls("POST") == []


def test_amount_equal_to_the_limits_is_bought(person: Person, connect: Callable[..., None]) -> None:
    connect(max_topup_amount=50, monthly_topup_limit=50)

    assert PurchaseRuns(amount=50, max_amount="50").run().state == "success"


class TestMonthlyLimit:
    @pytest.fixture(autouse=True)
    def earlier_purchases(
        self, person: Person, emulator: Emulator, other_client: BillingClient, connect: Callable[..., None]
    ) -> None:
        """Make three checkouts: 30 USD paid, 20 USD payable, 40 USD expired."""
        paid, _pending, expired = (other_client.topup(amount) for amount in (30, 20, 40))
        emulator.pay(str(paid.id))
        emulator.expire(str(expired.id))
        emulator.clear_calls()
        connect(monthly_topup_limit=100)

    def test_counts_paid_and_payable_checkouts(self, emulator: Emulator) -> None:
        refused = PurchaseRuns(amount=51, retries=2).run()

        assert_refused(refused, "monthly_topup_limit")
        assert "51 USD more would make 101 USD this month" in str(refused.cause)
        assert "50 USD in 2 checkouts count already" in str(refused.cause)
        assert emulator.calls("POST") == []

    def test_does_not_count_expired_checkouts(self) -> None:
        assert PurchaseRuns(amount=50).run().state == "success"

    def test_counts_a_checkout_that_expired_too_early(self, emulator: Emulator, other_client: BillingClient) -> None:
        payable = other_client.topup(1)
        emulator.show_checkout_as(str(payable.id), status="expired")
        emulator.clear_calls()

        assert_refused(PurchaseRuns(amount=50, retries=2).run(), "monthly_topup_limit")
        assert emulator.calls("POST") == []

    def test_starts_again_with_the_calendar_month(self, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
        now = Clock.now
        monkeypatch.setattr(Clock, "now", lambda self: now(self) + timedelta(days=32))
        emulator.advance(timedelta(days=32).total_seconds())

        assert PurchaseRuns(amount=100).run().state == "success"

    def test_does_not_count_the_checkout_of_the_task_itself(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        BEFORE_THE_WAIT.breaks(Died(), monkeypatch)
        bought = PurchaseRuns(amount=50, retries=1).run()

        assert (bought.state, bought.tries) == ("success", 2)
        assert len(emulator.calls("POST", TOPUP)) == 1

    def test_counts_the_orphan_of_a_lost_response(self, emulator: Emulator) -> None:
        """VideoDB may still charge a card for a checkout without a link."""
        emulator.add_fault("drop_after", method="POST", path=TOPUP)
        assert_refused(PurchaseRuns(amount=50, retries=2).run(), "monthly_topup_limit")

        assert len(emulator.calls("POST", TOPUP)) == 1


@pytest.mark.parametrize("currency", ["eur", "JPY"])
@pytest.mark.parametrize("operator", [{"amount": 50}, {"operator": "EnsureCreditsOperator", "credits": 53}], ids=str)
@pytest.mark.parametrize("limit", ["max_topup_amount", "monthly_topup_limit", "max_amount"])
def test_other_currency_is_not_posted_under_a_limit(
    person: Person,
    emulator: Emulator,
    connect: Callable[..., None],
    operator: dict[str, Any],
    limit: str,
    currency: str,
) -> None:
    connect(**{} if limit == "max_amount" else {limit: 9999})
    limits = {"max_amount": 9999} if limit == "max_amount" else {}
    refused = PurchaseRuns(**operator, **limits, currency=currency, retries=2).run()

    assert (refused.state, refused.tries) == ("failed", 1)
    assert isinstance(refused.cause, VideoDBLimitExceededError)
    assert f"50 {currency.upper()} cannot be compared with a limit in USD" in str(refused.cause)
    assert emulator.calls("POST") == []
