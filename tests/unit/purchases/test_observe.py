"""What a try sees in the list and in the claims, and for how long."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import VideoDBLimitExceededError, VideoDBOutcomeUnknownError
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from tests.support.checkouts import NOON, asked, listed, responded

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from tests.support.worlds import World


LOST = VideoDBOutcomeUnknownError("The response was lost.")
A_DAY = timedelta(days=1)


def test_checkouts_that_existed_before_are_excluded(world: World) -> None:
    minutes = timedelta(minutes=1)
    world.responses = [responded("cs_new")]
    world.entries = [
        listed("cs_now"),
        listed("cs_10", made_at=NOON - 10 * minutes),
        listed("cs_older", made_at=NOON - 10 * minutes - timedelta(microseconds=1)),
        listed("cs_ahead", made_at=NOON + 5 * minutes),
        listed(None),
        # It has no date that could tell.
        listed("cs_dateless", made_at=None),
        listed("cs_unreadable", amount=None, made_at=None, unreadable=("amount", "created_at")),
        listed(None, made_at=None),
    ]

    assert world.buys().excluded_ids == ("cs_now", "cs_10", "cs_ahead", "cs_dateless", "cs_unreadable")


@pytest.mark.parametrize(("currency", "is_refused"), [("eur", True), ("usd", False), (None, False)])
def test_limit_sees_the_currency_of_a_new_checkout(world: World, currency: str | None, *, is_refused: bool) -> None:
    world.limits, world.responses = SpendLimits(max_topup_amount=Decimal(100)), [responded("cs_new")]
    refused = pytest.raises(VideoDBLimitExceededError, match="EUR") if is_refused else nullcontext()
    with refused:
        world.buys(currency=currency)
    assert len(world.posts) == (0 if is_refused else 1)


@pytest.mark.parametrize("in_flight", [5, 35, 45])
@pytest.mark.parametrize("clock_is_off", [timedelta(0), A_DAY, -A_DAY, timedelta(minutes=5)])
@pytest.mark.parametrize("entries", [[], [listed()]])
def test_post_of_a_killed_try_is_waited_out(
    world: World, in_flight: float, clock_is_off: timedelta, entries: list[Checkout]
) -> None:
    world.record, world.entries = asked(in_flight=in_flight), entries
    world.responses, world.time = [responded("cs_2")], NOON + clock_is_off
    began = world.seconds
    bought = world.buys()

    assert world.money[:2] == ["poll", f"sleep {in_flight + 10:g}"]
    # By seconds that nobody can set back: the POST may take effect to the last, and the list lag after that.
    assert world.seconds - began > in_flight + 10
    assert bought.orphans == tuple(str(entry.id) for entry in entries)


def test_post_of_a_killed_try_that_works_late_is_found(world: World) -> None:
    world.record = asked(in_flight=35)
    world.at_poll[2] = lambda: world.entries.append(listed(status="completed"))

    assert world.buys().paid == ("cs_1",)
    assert world.posts == []


@pytest.mark.parametrize("then", ["hidden", "pending", "expired"])
def test_paid_checkout_hidden_at_one_poll_is_not_bought_again(world: World, then: str) -> None:
    """The response is lost and the card charged. The look after the list has settled shows something else."""
    world.responses = [LOST]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))
    lies = [] if then == "hidden" else [listed(status=then)]
    world.at_poll = {3: lambda: world.entries.__setitem__(slice(None), lies)}
    bought = world.buys()

    assert len(world.posts) == 1
    assert bought.paid == ("cs_1",)
