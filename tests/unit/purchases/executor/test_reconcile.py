"""What a purchase is now, without buying anything."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from tests.support.checkouts import LINK, LINK_SHARED, NOON, asked, expired, listed, made
from tests.support.worlds import OTHER, World

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


A_DAY = timedelta(days=1)


class TestReconcile:
    @pytest.mark.parametrize(
        ("purchase", "entries", "words", "polls"),
        [
            (LINK_SHARED, [listed()], f"can be paid until it expires, because VideoDB cannot cancel one: {LINK}", 1),
            (LINK_SHARED, [listed(status="disputed")], "can be paid until it expires", 1),
            (LINK_SHARED, [], "can be paid until it expires", 1),
            (LINK_SHARED, [expired()], "expired unpaid, so it can no longer be paid.", 2),
            (LINK_SHARED, [listed(status="expired")], "may still be payable", 2),
            (made(), [listed()], "Nobody has a link to pay the 50 USD that this task asked for.", 1),
            (asked(), [listed()], "Nobody has a link", 2),
        ],
    )
    @pytest.mark.parametrize("is_recorded", [True, False])
    def test_reconciliation_says_what_is_open_and_buys_nothing(
        self,
        world: World,
        purchase: Purchase,
        entries: list[Checkout],
        words: str,
        polls: int,
        is_recorded: bool,
    ) -> None:
        world.entries = entries
        if is_recorded:
            world.record = purchase
        became, said = world.executor.reconcile(purchase)

        assert words in said
        assert became == purchase
        assert world.money == ["poll", "sleep 10", "poll"][: 2 * polls - 1]

    @pytest.mark.parametrize("record", [None, LINK_SHARED, made(link_shared=True, notified=("0:SlackNotifier",))])
    def test_reconciliation_records_a_payment(self, world: World, record: Purchase | None) -> None:
        """Also in a process that has waited and has not read the record yet."""
        if record is not None:
            world.record = record
        world.entries = [listed(status="completed")]
        became, said = world.executor.reconcile(made(link_shared=True))

        assert became.paid == ("cs_1",)
        assert became.notified == (() if record is None else record.notified)
        assert world.record == became.receipt()
        assert said == "Checkout cs_1 for 50 USD was paid. Its credits are on the account."
        assert world.posts == []

    def test_reconciliation_waits_for_list_lag(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.entries = [listed(), listed("cs_2", "completed")]
        became, said = world.executor.reconcile(asked(in_flight=35))

        assert world.money == ["poll", "sleep 45", "poll"]
        assert became == asked(in_flight=35)
        assert "Any of these candidates may be its checkout" in said
        assert caplog.messages == ["Reading VideoDB's list again in 45.0 s, because it may lag."]

    def test_reconciliation_finds_a_link_without_an_id(self, world: World) -> None:
        world.time, world.entries = NOON + A_DAY, [listed(status="expired")]
        became, said = world.executor.reconcile(asked(payment_url=LINK, link_shared=True))

        assert became.checkout_id == "cs_1"
        assert said == "Checkout cs_1 for 50 USD expired unpaid, so it can no longer be paid."

    @pytest.mark.parametrize(
        "limits", [SpendLimits(max_topup_amount=Decimal(1)), SpendLimits(monthly_topup_limit=Decimal(1))]
    )
    @pytest.mark.parametrize(
        ("purchase", "entry", "words"),
        [
            (LINK_SHARED, expired(), "expired unpaid, so it can no longer be paid."),
            (made(), listed(), "Nobody has a link"),
        ],
    )
    def test_reconciliation_ignores_limits(
        self, world: World, limits: SpendLimits, purchase: Purchase, entry: Checkout, words: str
    ) -> None:
        world.limits, world.entries = limits, [entry]
        _, said = world.executor.reconcile(purchase)

        assert words in said
        assert world.posts == []

    def test_reconciliation_ignores_claims_of_others(self, world: World) -> None:
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OTHER)
        became, _ = world.executor.reconcile(asked(orphans=("cs_2",)))

        assert became == asked(orphans=("cs_2",), paid=("cs_2",), paid_at=NOON.isoformat())

    def test_reconciliation_of_an_unlisted_link_says_missing(self, world: World) -> None:
        _, said = world.executor.reconcile(asked(payment_url=LINK))

        assert "is not in VideoDB's list" in said
