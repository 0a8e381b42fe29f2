"""An expired checkout: believed slowly, replaced, and watched on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
)
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from tests.support.checkouts import LINK, LINK_SHARED, NOON, after, asked, expired, listed, made, responded
from tests.support.worlds import IDENTITY, World

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout


A_DAY = timedelta(days=1)


class TestExpiredCheckout:
    def test_expired_checkout_is_replaced_after_a_second_poll(self, world: World) -> None:
        world.record, world.entries = LINK_SHARED, [expired()]
        world.responses = [responded("cs_2", url="https://pay.example/cs_2")]
        bought = world.buys()

        assert world.money[:5] == ["poll", "sleep 10", "poll", "save", "post"]
        assert (bought.generation, bought.checkout_id, bought.ended) == (1, "cs_2", {"cs_1": 50})
        assert [post["idempotency_key"] for post in world.posts] == [idempotency_key(*IDENTITY, 1, 50)]

    @pytest.mark.parametrize("then", ["pending", "processing", ""])
    def test_expired_checkout_is_kept_if_the_second_poll_differs(self, world: World, then: str) -> None:
        world.record, world.entries = LINK_SHARED, [expired()]
        world.at_poll[2] = lambda: world.entries.__setitem__(0, listed(status=then))

        assert world.buys() == LINK_SHARED
        assert world.posts == []

    def test_expired_checkout_is_paid_if_the_second_poll_says_so(self, world: World) -> None:
        world.record, world.entries = LINK_SHARED, [expired()]
        world.at_poll[2] = lambda: world.entries.__setitem__(0, listed(status="completed"))

        assert world.buys().paid == ("cs_1",)
        assert world.posts == []

    def test_expired_checkout_is_kept_if_the_second_poll_hides_it(self, world: World) -> None:
        world.record, world.entries = LINK_SHARED, [expired()]
        world.at_poll[2] = world.entries.clear

        assert world.buys() == LINK_SHARED
        assert world.posts == []

    @pytest.mark.parametrize(
        ("record", "entry"),
        [
            (LINK_SHARED, listed(status="expired")),
            (made(), listed(status="expired", made_at=after(-3600))),
            (LINK_SHARED, listed(status="expired", made_at=None)),
            # Nobody knows how old it is.
            (made(posts=()), listed(status="expired", made_at=None)),
        ],
    )
    @pytest.mark.parametrize("clock_is_off", [timedelta(0), timedelta(minutes=5), -A_DAY])
    def test_expired_checkout_that_is_young_is_left_to_a_person(
        self, world: World, record: Purchase, entry: Checkout, clock_is_off: timedelta
    ) -> None:
        world.record, world.entries = record, [entry]
        world.time += clock_is_off
        with pytest.raises(VideoDBCheckoutExpiredError, match="may still be payable"):
            world.buys()

        assert world.posts == []
        assert world.record == record

    def test_expiry_of_a_generation_says_nothing_of_the_next(self, world: World) -> None:
        """It is called expired as soon as it is made, and polls its age."""
        world.record, world.entries = LINK_SHARED, [expired()]
        world.responses = [responded("cs_2"), responded("cs_3")]
        world.meanwhile = lambda: world.entries.append(expired(f"cs_{len(world.posts) + 1}"))
        world.at_poll[4] = lambda: world.entries.__setitem__(1, listed("cs_2"))

        assert world.buys().checkout_id == "cs_2"
        assert len(world.posts) == 1

    def test_expired_link_without_an_id_ends(self, world: World) -> None:
        """Its id is found in the list, which shows it as expired: it must not be looked for for good."""
        world.record, world.entries = asked(payment_url=LINK), [listed(status="expired")]
        world.time, world.responses = NOON + A_DAY, [responded("cs_2")]
        bought = world.buys()

        assert (bought.checkout_id, bought.generation, bought.ended) == ("cs_2", 1, {"cs_1": 50})
        assert world.done.count("poll") < 6

    @pytest.mark.parametrize("late", ["cs_1", "cs_2", "cs_3"])
    def test_expired_checkouts_are_watched_over_generations(self, world: World, late: str) -> None:
        for generation, amount in enumerate([50, 97, 5], start=1):
            world.needs, world.responses = [amount], [responded(f"cs_{generation}", amount=amount)]
            world.entries = [expired(f"cs_{earlier}") for earlier in range(1, generation)]
            world.this_try.id = f"try-{generation}"
            world.buys()
        assert world.record is not None
        assert world.record.ended == {"cs_1": 50, "cs_2": 97}

        world.this_try.id = "try-4"
        world.entries = [listed(late, "completed")]
        bought = world.buys()
        assert (bought.paid, bought.amount_paid) == ((late,), {"cs_1": 50, "cs_2": 97, "cs_3": 5}[late])
        assert world.record == bought.receipt()
        assert len(world.posts) == 3
