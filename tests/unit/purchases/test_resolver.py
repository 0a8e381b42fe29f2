"""A person's resolution: applied once, recorded, deleted."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBRecordNotKeptError,
)
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from tests.support.checkouts import LINK_SHARED, asked, listed, made, responded
from tests.support.worlds import IDENTITY, OTHER, OWNER, World

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout


class TestResolution:
    VARIABLE = "videodb_resolution_0123456789abcdef"

    def test_resolution_is_applied_recorded_and_deleted(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.entries, world.responses = asked(), [listed(status="disputed")], [responded("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert bought.checkout_id == "cs_2"
        # The list is not waited for: a person has looked.
        assert world.money[:5] == ["poll", "save", "poll", "save", "post"]
        assert self.VARIABLE not in world.variables.kept
        assert "The task continues with the resolution 'buy' that a person set." in caplog.messages

    def test_resolution_of_an_expired_checkout_gets_another_key(self, world: World) -> None:
        world.record, world.entries, world.responses = asked(), [listed(status="expired")], [responded("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert (bought.generation, bought.key) == (1, idempotency_key(*IDENTITY, 1, 50))
        assert self.VARIABLE not in world.variables.kept

    @pytest.mark.parametrize("record", [LINK_SHARED, made()])
    def test_resolution_may_call_a_young_checkout_expired(self, world: World, record: Purchase) -> None:
        world.record, world.entries, world.responses = record, [listed(status="expired")], [responded("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        bought = world.buys()

        assert (bought.checkout_id, bought.generation, bought.ended) == ("cs_2", 1, {"cs_1": 50})

    @pytest.mark.parametrize(
        ("entries", "is_polled_twice"),
        [([], True), ([listed(status="expired")], True), ([listed(status="completed")], False)],
        ids=["gone", "expired", "paid"],
    )
    def test_gone_or_expired_checkout_is_polled_twice(
        self, world: World, entries: list[Checkout], *, is_polled_twice: bool
    ) -> None:
        world.record, world.entries, world.responses = LINK_SHARED, entries, [responded("cs_2")]
        world.variables.kept[self.VARIABLE] = "buy"
        with suppress(VideoDBPurchaseUnknownError):
            world.buys()

        assert (world.money[:3] == ["poll", "sleep 10", "poll"]) is is_polled_twice

    def test_resolution_buys_what_is_needed_now(self, world: World) -> None:
        world.record, world.entries, world.responses = asked(), [listed()], [responded("cs_2", amount=5)]
        world.variables.kept[self.VARIABLE], world.needs = "buy", [5]

        assert world.buys().amount == 5

    def test_resolution_that_names_the_payment_ends_the_purchase(self, world: World) -> None:
        world.record, world.entries = asked(), [listed(status="completed"), listed("cs_2", "completed")]
        world.variables.kept[self.VARIABLE] = "cs_2"

        assert world.buys().paid == ("cs_2",)
        assert world.record is not None
        assert (world.record.checkout_id, world.record.id_source, world.record.paid) == ("cs_2", "list", ("cs_2",))
        assert world.record.paid_at is not None
        assert world.claims == {"cs_2": OWNER}
        assert world.posts == []

    def test_resolution_that_names_a_claimed_checkout_is_refused(self, world: World) -> None:
        world.record, world.entries = asked(), [listed(status="completed")]
        world.variables.kept[self.VARIABLE] = "cs_1"
        world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError, match="Another task has claimed checkout cs_1"):
            world.buys()

        assert world.record == asked()
        assert self.VARIABLE in world.variables.kept

    @pytest.mark.parametrize("resolution", ["cs_of_nobody", "", "BUY"])
    def test_resolution_that_cannot_be_applied_stays(self, world: World, resolution: str) -> None:
        world.record = asked()
        world.variables.kept[self.VARIABLE] = resolution
        with pytest.raises(VideoDBPurchaseUnknownError, match=f"The resolution '{resolution}'"):
            world.buys()

        assert world.record == asked()
        assert self.VARIABLE in world.variables.kept

    def test_resolution_stays_if_the_record_is_not_kept(self, world: World) -> None:
        world.record, world.entries = asked(), [listed()]
        world.variables.kept[self.VARIABLE] = "buy"
        world.store.fault = VideoDBRecordNotKeptError("Airflow could not write.")
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()

        assert self.VARIABLE in world.variables.kept
        assert world.posts == []

    def test_resolution_of_a_paid_purchase_is_not_read(self, world: World) -> None:
        world.record = made(paid=("cs_1",))
        world.variables.kept[self.VARIABLE] = "buy"

        assert world.buys().paid == ("cs_1",)
        assert self.VARIABLE in world.variables.kept
