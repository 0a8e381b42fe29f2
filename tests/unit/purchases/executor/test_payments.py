"""Payments that a wait saw, recorded once and for one task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBTryOverError,
)
from tests.support.checkouts import LINK, LINK_SHARED, YESTERDAY, asked, made
from tests.support.worlds import OTHER, OWNER, World

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

OVER = VideoDBTryOverError("This try is over.")


class TestConfirm:
    """What a wait has seen, in a process that has not read the record yet."""

    def test_confirmation_follows_the_record(self, world: World) -> None:
        world.record = made(link_shared=True, notified=("0:SlackNotifier",), ended={"cs_0": 20})
        confirmed = world.executor.confirm(made(link_shared=True, paid=("cs_0",)))

        assert confirmed.notified == ("0:SlackNotifier",)
        assert (confirmed.paid, confirmed.amount_paid) == (("cs_0",), 20)
        assert confirmed.paid_at == world.time.isoformat()
        assert world.record == confirmed.receipt()

    def test_confirmation_of_a_paid_purchase_changes_nothing(self, world: World) -> None:
        world.record = paid = made(posts=(), paid=("cs_1",), paid_at=YESTERDAY.isoformat())

        assert world.executor.confirm(made(paid=("cs_1", "cs_2"))) == paid
        assert "save" not in world.done

    def test_confirmation_survives_a_deleted_record(self, world: World) -> None:
        confirmed = world.executor.confirm(made(link_shared=True, paid=("cs_1",)))

        assert confirmed.paid == ("cs_1",)
        assert world.record == confirmed.receipt()

    def test_confirmation_gives_up_what_others_claimed(self, world: World) -> None:
        world.record = made(link_shared=True, orphans=("cs_2",))
        world.claim("cs_2", OTHER)
        confirmed = world.executor.confirm(made(link_shared=True, orphans=("cs_2",), paid=("cs_2",)))

        assert confirmed.paid == ()
        assert world.record == confirmed

    def test_confirmation_is_refused_to_a_stopped_try(self, world: World) -> None:
        world.keeps(LINK_SHARED, by="try-2")
        world.this_try.error = OVER
        with pytest.raises(VideoDBTryOverError):
            world.executor.confirm(made(link_shared=True, paid=("cs_1",)))

        assert world.record == LINK_SHARED


class TestMarkPaid:
    @pytest.mark.parametrize(
        ("purchase", "claimed", "done"),
        [
            # A link that people had leads to no other task's checkout.
            (made(link_shared=True, paid=("cs_1",)), {"cs_1": OWNER}, ["save"]),
            (made(link_shared=True, paid=("cs_1",)), {}, ["claim cs_1", "save"]),
            (made(paid=("cs_1",)), {"cs_1": OWNER}, ["let others claim", "save"]),
            (made(orphans=("cs_2",), paid=("cs_2",)), {}, ["claim cs_2", "let others claim", "save"]),
            (made(ended={"cs_0": 20}, paid=("cs_0",)), {}, ["claim cs_0", "let others claim", "save"]),
            (made(link_shared=True, id_source="list", paid=("cs_1",)), {}, ["claim cs_1", "let others claim", "save"]),
            # The second one is reported and left to who has lost its response.
            (made(link_shared=True, orphans=("cs_2",), paid=("cs_1", "cs_2")), {}, ["claim cs_1", "save"]),
            (made(link_shared=True, orphans=("cs_2",), paid=("cs_1", "cs_2")), {"cs_2": OWNER}, ["claim cs_1", "save"]),
        ],
    )
    def test_payment_of_its_own_is_recorded(
        self, world: World, purchase: Purchase, claimed: dict[str, str], done: list[str]
    ) -> None:
        for checkout_id, owner in claimed.items():
            world.claim(checkout_id, owner)

        assert world.executor.mark_paid(purchase) == purchase
        assert world.money == done
        assert world.record == purchase.receipt()

    @pytest.mark.parametrize(
        ("purchase", "claimed", "then"),
        [
            (
                made(orphans=("cs_2",), paid=("cs_2",)),
                ["cs_2"],
                made(excluded_ids=("cs_2",)),
            ),
            (
                made(link_shared=True, orphans=("cs_2",), paid=("cs_1", "cs_2")),
                ["cs_2"],
                made(link_shared=True, excluded_ids=("cs_2",), paid=("cs_1",)),
            ),
            (
                asked(orphans=("cs_2", "cs_3", "cs_4"), paid=("cs_2", "cs_3", "cs_4")),
                ["cs_2", "cs_3"],
                asked(excluded_ids=("cs_2", "cs_3"), orphans=("cs_4",), paid=("cs_4",)),
            ),
            (
                made(id_source="list", paid=("cs_1",)),
                ["cs_1"],
                asked(payment_url=LINK, excluded_ids=("cs_1",)),
            ),
        ],
    )
    def test_payment_of_others_is_given_up(
        self,
        world: World,
        purchase: Purchase,
        claimed: list[str],
        then: Purchase,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for checkout_id in claimed:
            world.claim(checkout_id, OTHER)

        assert world.executor.mark_paid(purchase) == then
        assert world.record == (then.receipt() if then.paid else then)
        assert caplog.messages == [f"These paid checkouts belong to other tasks: {', '.join(claimed)}."]

    @pytest.mark.parametrize("paid", [("cs_1",), ("cs_1", "cs_2")])
    def test_payment_claimed_by_others_despite_a_response_stops(self, world: World, paid: tuple[str, ...]) -> None:
        world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError, match="Another task has claimed checkout cs_1"):
            world.executor.mark_paid(made(link_shared=True, orphans=("cs_2",), paid=paid))

        assert world.record is None
