"""A POST whose response was lost: found in the list, or sent again with its key."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBOutcomeUnknownError,
    VideoDBResponseError,
    VideoDBServerError,
)
from airflow_provider_videodb.purchases.rules.purchase import idempotency_key
from tests.support.checkouts import listed, responded
from tests.support.worlds import IDENTITY, World

KEY = idempotency_key(*IDENTITY, 0, 50)
LOST = VideoDBOutcomeUnknownError("The response was lost.")


def errors_of(*errors: type[VideoDBAPIError]) -> list[Any]:
    return [pytest.param(error("It went wrong."), id=error.__name__) for error in errors]


@pytest.mark.parametrize("error", errors_of(VideoDBOutcomeUnknownError, VideoDBServerError, VideoDBResponseError))
def test_lost_response_is_followed_by_a_post_with_the_same_key(
    world: World, error: VideoDBAPIError, caplog: pytest.LogCaptureFixture
) -> None:
    world.responses = [error, responded()]
    bought = world.buys()

    assert world.money == [
        *("poll", "save", "post"),
        # The list settles from the end of the POST on, and a poll is as old as its beginning.
        *("poll", "sleep 10", "poll"),
        *("save", "post", "save", "claim cs_1", "poll", "save"),
    ]
    assert [post["idempotency_key"] for post in world.posts] == [KEY, KEY]
    assert bought.posts == tuple(post["at"] for post in world.posts)
    assert caplog.messages == [
        "The outcome of the POST is unknown.",
        "The task searches VideoDB's list for its checkout.",
        "It went wrong.",
        "Reading VideoDB's list again in 10.0 s, because it may lag.",
    ]


def test_orphans_are_logged_before_the_next_post(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.responses = [LOST, responded()]
    world.meanwhile = lambda: world.entries.extend([listed("cs_7"), listed("cs_8")])
    bought = world.buys()

    assert bought.orphans == ("cs_7", "cs_8")
    assert caplog.messages[-3:] == [
        "VideoDB may have made these checkouts, but its responses were lost:",
        "cs_7, cs_8",
        "The task has no links to them. It makes a checkout with a link.",
    ]


@pytest.mark.parametrize(("needs", "reprices"), [([50], False), ([50], True), ([50, 49, 48, 47, 46], True)])
def test_one_try_loses_two_responses_at_most(world: World, needs: list[int], reprices: bool) -> None:
    second = VideoDBServerError("Lost again.")
    world.needs, world.responses = needs, [LOST, second]
    world.meanwhile = lambda: world.entries.append(listed(f"cs_{len(world.posts)}", amount=world.posts[-1]["amount"]))
    with pytest.raises(VideoDBServerError) as caught:
        world.buys(reprices=reprices)

    assert caught.value is second
    assert len(world.posts) == 2
    # What the polls have found is recorded for the next try.
    assert world.money[-2:] == ["poll", "save"]
    assert world.record is not None
    assert world.record.orphans == ("cs_1", "cs_2")
    assert world.record.in_flight == 0


def test_lost_response_of_a_charged_card_is_paid(world: World) -> None:
    world.responses = [LOST]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))
    bought = world.buys()

    assert world.money == [
        *("poll", "save", "post", "poll", "sleep 10", "poll"),
        *("claim cs_1", "let others claim", "save"),
    ]
    assert (bought.checkout_id, bought.paid, bought.id_source) == ("cs_1", ("cs_1",), "list")
    assert world.record == bought.receipt()


def test_card_charged_with_a_response_is_paid(world: World) -> None:
    world.responses = [responded()]
    world.meanwhile = lambda: world.entries.append(listed(status="completed"))

    assert world.buys().paid == ("cs_1",)
    assert world.money == [
        *("poll", "save", "post", "save", "claim cs_1", "poll"),
        # Nobody else can have seen it as its own before it was claimed, unless it was paid.
        *("let others claim", "save"),
    ]
