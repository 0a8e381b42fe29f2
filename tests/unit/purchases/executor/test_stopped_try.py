"""A try that Airflow or a newer try has ended buys and shares nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from tests.support.checkouts import LINK, LINK_SHARED, asked, expired, listed, made, responded

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from tests.support.worlds import World


OVER = VideoDBTryOverError("This try is over.")
UNREADABLE = VideoDBRecordUnreadableError("Airflow could not say.")


class TestStoppedTry:
    @pytest.mark.parametrize("error", [OVER, UNREADABLE])
    @pytest.mark.parametrize(
        ("record", "entries"),
        [(None, []), (asked(posts=()), []), (asked(), []), (asked(), [listed()]), (LINK_SHARED, [expired()])],
    )
    def test_stopped_try_buys_nothing(
        self, world: World, record: Purchase | None, entries: list[Checkout], error: VideoDBError
    ) -> None:
        if record is not None:
            world.record = record
        world.entries, world.this_try.error = entries, error
        with pytest.raises(type(error)):
            world.buys()

        assert world.posts == []
        assert world.record is None or world.record.in_flight == 0

    @pytest.mark.parametrize("error", [OVER, UNREADABLE])
    @pytest.mark.parametrize(
        ("record", "entries"),
        [
            (made(), [listed()]),
            (LINK_SHARED, [listed()]),
            (LINK_SHARED, []),
            (asked(payment_url=LINK), [listed()]),
        ],
    )
    def test_stopped_try_shares_no_link(
        self, world: World, record: Purchase, entries: list[Checkout], error: VideoDBError
    ) -> None:
        world.record, world.entries, world.this_try.error = record, entries, error
        with pytest.raises(type(error)):
            world.buys()

        assert world.record is not None
        assert world.record.link_shared == record.link_shared

    def test_stopped_try_withholds_the_link_of_its_response(self, world: World) -> None:
        """Told to stop while the POST is under way."""
        world.responses = [responded()]
        world.meanwhile = lambda: setattr(world.this_try, "error", OVER)
        with pytest.raises(VideoDBTryOverError):
            world.buys()

        assert world.record is not None
        assert (world.record.checkout_id, world.record.link_shared) == ("cs_1", False)

    @pytest.mark.parametrize("by", ["try-0", "try-2"])
    @pytest.mark.parametrize("poll", [1, 2, 3])
    def test_stopped_try_leaves_the_record_of_another_try(self, world: World, by: str, poll: int) -> None:
        """Whichever poll it froze at: before the POST, after the response, before the link goes out."""
        theirs = made(checkout_id="cs_9", link_shared=True)
        world.limits = SpendLimits(monthly_topup_limit=Decimal(1000))
        world.responses = [responded()]
        world.meanwhile = lambda: world.entries.append(listed(made_at=world.time))

        def other_try_writes() -> None:
            world.keeps(theirs, by=by)
            world.this_try.error = OVER if by == "try-2" else None

        world.at_poll[poll] = other_try_writes
        with pytest.raises(VideoDBTryOverError if by == "try-2" else VideoDBRecordUnreadableError):
            world.buys()

        assert len(world.posts) == (poll > 1)
        assert world.record == theirs
        assert world.store.get("videodb_purchase")["try"] == by

    @pytest.mark.parametrize("by", ["try-0", "try-2"])
    def test_replaced_try_shares_no_link(self, world: World, by: str) -> None:
        """Though it has nothing new to write."""
        world.record, world.entries = LINK_SHARED, [listed()]
        theirs = made(checkout_id="cs_9", link_shared=True)
        world.at_poll[1] = lambda: world.keeps(theirs, by=by)
        with pytest.raises(VideoDBRecordUnreadableError):
            world.buys()

        assert world.record == theirs

    @pytest.mark.parametrize(
        "act",
        [
            lambda executor, world: executor.obtain_checkout(
                LINK_SHARED, world.assess, currency=None, redirect_url=None
            ),
            lambda executor, _: executor.mark_paid(made(link_shared=True, paid=("cs_1",))),
        ],
        ids=["buys", "settles"],
    )
    def test_replaced_try_records_no_payment(self, world: World, act: Any) -> None:
        world.record, world.entries = LINK_SHARED, [listed(status="completed")]
        theirs = made(checkout_id="cs_9")
        buyer_of_this_try = world.executor
        assert buyer_of_this_try.load_existing() == LINK_SHARED
        world.keeps(theirs, by="try-2")
        world.this_try.error = OVER
        with pytest.raises(VideoDBTryOverError):
            act(buyer_of_this_try, world)

        assert world.record == theirs
