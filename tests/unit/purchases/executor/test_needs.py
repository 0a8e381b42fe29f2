"""What is bought is what is needed at the moment of the POST."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBLimitExceededError,
    VideoDBOutcomeUnknownError,
)
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key
from tests.support.checkouts import LINK, LINK_SHARED, NOON, asked, expired, listed, made, responded
from tests.support.worlds import IDENTITY, OTHER, World

KEY = idempotency_key(*IDENTITY, 0, 50)
LOST = VideoDBOutcomeUnknownError("The response was lost.")
A_DAY = timedelta(days=1)


class TestNeed:
    @pytest.mark.parametrize("record", [None, asked(posts=()), asked(posts=(), ended={"cs_0": 20})])
    def test_need_of_nothing_buys_nothing(self, world: World, record: Purchase | None) -> None:
        if record is not None:
            world.record = record
        world.needs = [0]

        assert world.obtains() is None
        assert world.money == []

    @pytest.mark.parametrize("reprices", [True, False])
    @pytest.mark.parametrize("record", [asked(), asked(in_flight=35)])
    def test_need_that_ended_after_a_lost_response_buys_nothing(
        self, world: World, record: Purchase, reprices: bool
    ) -> None:
        world.record, world.needs = record, [50, 0]

        assert world.obtains(reprices=reprices) is None
        assert world.posts == []

    def test_need_that_ended_with_an_expired_link_buys_nothing(self, world: World) -> None:
        world.record, world.entries, world.needs = LINK_SHARED, [expired()], [97, 0]

        assert world.obtains() is None
        assert world.posts == []
        assert world.record == LINK_SHARED

    def test_need_of_nothing_keeps_what_is_paid_or_payable(self, world: World) -> None:
        world.record, world.needs, world.entries = LINK_SHARED, [0], [listed()]
        assert world.obtains() == LINK_SHARED

        world.entries = [listed(status="completed")]
        assert world.buys().paid == ("cs_1",)

    @pytest.mark.parametrize("reprices", [True, False])
    @pytest.mark.parametrize("now", [5, 97])
    def test_need_of_now_is_bought_after_an_expired_link(self, world: World, now: int, reprices: bool) -> None:
        """Not the shortfall of yesterday: somebody else has filled the account, or used it, since."""
        world.record, world.entries, world.needs = LINK_SHARED, [expired()], [50, now]
        world.responses = [responded("cs_2", amount=now)]
        bought = world.buys(reprices=reprices)

        key = idempotency_key(*IDENTITY, 1, now)
        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == [(now, key)]
        assert (bought.amount, bought.key, bought.ended) == (now, key, {"cs_1": 50})

    def test_need_of_now_is_bought_after_a_link_without_an_id(self, world: World) -> None:
        world.record, world.entries = asked(payment_url=LINK), [listed(status="expired")]
        world.time, world.needs, world.responses = NOON + A_DAY, [50, 5], [responded("cs_2", amount=5)]

        assert world.buys().amount == 5

    @pytest.mark.parametrize(
        ("reprices", "posts"),
        [
            (True, [(50, KEY), (5, idempotency_key(*IDENTITY, 1, 5))]),
            # A fixed amount is asked for again as it was, so that VideoDB may know it again.
            (False, [(50, KEY), (50, KEY)]),
        ],
    )
    def test_need_of_now_is_bought_after_a_lost_response(
        self, world: World, reprices: bool, posts: list[tuple[int, str]]
    ) -> None:
        world.needs, world.responses = [50, 5], [LOST, responded("cs_2")]
        world.meanwhile = lambda: world.entries.append(listed())
        bought = world.buys(reprices=reprices)

        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == posts
        assert "cs_1" in bought.watched
        assert bought.balance_before == 3.5

    def test_need_of_now_is_bought_after_a_payment_of_another_task(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.record, world.entries, world.needs = asked(), [listed(status="completed")], [50, 50, 5]
        world.responses = [responded("cs_2")]
        monkeypatch.setattr(
            "airflow_provider_videodb.purchases.claims.time",
            SimpleNamespace(sleep=lambda _: world.claim("cs_1", OTHER)),
        )

        assert world.buys(reprices=True).amount == 5

    def test_need_is_assessed_after_each_wait_before_a_post(self, world: World) -> None:
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1000))
        world.responses = [LOST, responded("cs_2")]
        world.meanwhile = lambda: len(world.posts) == 2 and world.entries.append(listed("cs_2", made_at=world.time))
        world.buys()

        steps = [did for did in world.done if did.startswith(("assess", "sleep", "post"))]
        assert steps == ["assess", "post", "sleep 10", "assess", "post", "sleep 11"]

    def test_need_of_now_is_refused_beyond_a_limit(self, world: World) -> None:
        world.record, world.entries, world.needs = LINK_SHARED, [expired()], [50, 97]
        world.limits = SpendLimits(max_topup_amount=Decimal(60))
        with pytest.raises(VideoDBLimitExceededError):
            world.buys()

        assert world.posts == []


class TestOtherAmount:
    @pytest.mark.parametrize("record", [asked(), made(link_shared=True)])
    def test_other_amount_does_not_change_an_existing_purchase(
        self, world: World, record: Purchase, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.record, world.entries, world.needs, world.responses = record, [listed()], [70], [responded()]

        assert world.buys().amount == 50
        assert caplog.messages[:2] == [
            "This task now asks for 70 USD.",
            "It continues its existing purchase of 50 USD.",
        ]

    def test_other_amount_is_not_logged_if_it_follows_the_need(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.record, world.entries, world.needs = LINK_SHARED, [listed()], [70]

        assert world.buys(reprices=True).amount == 50
        assert caplog.messages == []

    @pytest.mark.parametrize("reprices", [True, False])
    def test_other_amount_is_sent_if_all_was_rejected(
        self, world: World, caplog: pytest.LogCaptureFixture, reprices: bool
    ) -> None:
        world.record = asked(posts=(), generation=3, ended={"cs_0": 20}, balance_before=1)
        world.needs, world.responses = [70], [responded(amount=70)]
        bought = world.buys(reprices=reprices)

        key = idempotency_key(*IDENTITY, 3, 70)
        assert (bought.amount, bought.generation, bought.key, bought.balance_before) == (70, 3, key, 3.5)
        assert bought.ended == {"cs_0": 20}
        assert [(post["amount"], post["idempotency_key"]) for post in world.posts] == [(70, key)]
        assert caplog.messages == []

    def test_same_amount_keeps_its_key(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        world.record, world.responses = asked(posts=()), [responded()]

        assert world.buys().key == asked().key
        assert caplog.messages == []
