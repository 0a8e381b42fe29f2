"""Claims of a purchase: what other tasks own is neither shared nor paid."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
)
from airflow_provider_videodb.purchases.claims import VariableClaims
from tests.support.checkouts import LINK, LINK_SHARED, YESTERDAY, asked, listed, made, responded
from tests.support.worlds import OTHER, OWNER, World

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


class TestClaims:
    def test_checkout_claimed_by_another_task_is_not_shared(self, world: World) -> None:
        world.responses = [responded()]
        world.meanwhile = lambda: world.claim("cs_1", OTHER)
        with pytest.raises(VideoDBPurchaseUnknownError) as caught:
            world.buys()

        assert str(caught.value) == (
            "Another task has claimed checkout cs_1 for 50 USD, so it is unknown which task it belongs to. Nothing "
            "more was bought. Next step: look for it in VideoDB's console, then start a new DAG run to buy again."
        )
        assert world.money == ["poll", "save", "post", "save"]

    def test_link_without_an_id_is_claimed_once_it_is_found(self, world: World) -> None:
        world.responses = [responded(None)]
        world.meanwhile = lambda: world.entries.append(listed())
        bought = world.buys()

        assert world.money == [
            *("poll", "save", "post", "save", "poll", "sleep 10", "poll"),
            *("claim cs_1", "let others claim", "save"),
        ]
        assert (bought.checkout_id, bought.payment_url, bought.link_shared) == ("cs_1", LINK, True)

    def test_checkout_claimed_by_others_is_not_matched(self, world: World) -> None:
        world.record = asked()
        world.entries = [listed(status="completed"), listed("cs_2", "completed")]
        world.claim("cs_1", OTHER)

        assert world.buys().paid == ("cs_2",)

    def test_checkout_claimed_by_this_task_is_matched(self, world: World) -> None:
        world.record = asked()
        world.entries = [listed(status="completed")]
        world.claim("cs_1", OWNER)

        assert world.buys().paid == ("cs_1",)

    def test_candidates_alone_are_looked_up(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_up: list[str] = []
        monkeypatch.setattr(VariableClaims, "owner", lambda _, checkout_id: looked_up.append(checkout_id))
        world.entries = [listed("cs_2", amount=20), listed("cs_3"), listed(None), listed("cs_1")]
        world.record = made(link_shared=True)
        world.buys()
        assert set(looked_up) == {"cs_1"}

        looked_up.clear()
        world.record = asked()
        world.responses = [responded("cs_4")]
        world.buys()
        assert looked_up[:2] == ["cs_3", "cs_1"]
        assert set(looked_up) == {"cs_1", "cs_3", "cs_4"}

    @pytest.mark.parametrize("record", [None, asked(posts=()), LINK_SHARED])
    def test_claims_of_a_long_list_are_not_read(self, world: World, record: Purchase | None) -> None:
        """A run of last month on an account with 5,000 checkouts."""
        if record is not None:
            world.record = record
        long_list = [listed(f"cs_old_{number}", "completed", made_at=YESTERDAY) for number in range(5000)]
        world.entries, world.responses = [*long_list, listed()], [responded()]
        world.buys()

        assert len(world.variables.asked) < 20

    def test_checkout_claimed_meanwhile_is_not_paid(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.record, world.entries, world.responses = asked(), [listed(status="completed")], [responded("cs_2")]
        # Of two that take it at once the last to write has it.
        monkeypatch.setattr(
            "airflow_provider_videodb.purchases.claims.time",
            SimpleNamespace(sleep=lambda _: world.claim("cs_1", OTHER)),
        )
        bought = world.buys()

        assert (bought.checkout_id, bought.paid, bought.excluded_ids) == ("cs_2", (), ("cs_1",))
        assert "These paid checkouts belong to other tasks: cs_1." in caplog.messages
