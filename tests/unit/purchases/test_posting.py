"""The POST of one try: recorded first, allowed second, sent once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAuthenticationError,
    VideoDBError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.purchases.posting import MAX_INTENT_AGE
from tests.support.checkouts import LINK, NOON, asked, made, responded
from tests.support.posting import NEW, posted, poster
from tests.support.worlds import ACCOUNT, POST_TIMEOUT, World

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


OVER = VideoDBTryOverError("This try is over.")
UNREADABLE = VideoDBRecordUnreadableError("Airflow could not say.")
NOT_KEPT = VideoDBRecordNotKeptError("Airflow could not write.")
#: What the record shows while the POST is under way.
INTENT = asked(account=ACCOUNT, in_flight=MAX_INTENT_AGE + POST_TIMEOUT)


@pytest.fixture
def world() -> World:
    return World(responses=[responded()])


def test_intent_may_be_as_old_as_documented() -> None:
    assert MAX_INTENT_AGE == 5


def test_intent_is_recorded_read_back_allowed_and_sent(world: World) -> None:
    world.this_try.on_check = lambda: world.done.append("ask Airflow")
    world.before_writing = lambda: world.done.append("connect")
    purchase, error = posted(world)

    assert world.done == [
        *("read", "save", "read", "ask Airflow", "connect", "ask Airflow", "post"),
        # The response overwrites the record that this try has written, and no other.
        *("read", "save"),
    ]
    assert error is None
    assert purchase == world.record == made(account=ACCOUNT)
    assert world.posts == [
        {
            "amount": 50,
            "currency": None,
            "redirect_url": "https://back.example",
            "idempotency_key": NEW.key,
            "at": NOON.isoformat(),
        }
    ]


def test_record_shows_how_long_a_post_in_flight_may_take(world: World) -> None:
    recorded: list[Purchase | None] = []
    world.meanwhile = lambda: recorded.append(world.record)
    posted(world, there_before=("cs_9", "cs_8"))

    assert recorded == [replace(INTENT, excluded_ids=("cs_9", "cs_8"))]


@pytest.mark.parametrize("error", [kind("It went wrong.") for kind in (*NO_EFFECT_ERRORS, VideoDBAuthenticationError)])
@pytest.mark.parametrize("before", [NEW, asked()])
def test_post_without_effect_is_taken_back(world: World, error: Exception, before: Purchase) -> None:
    world.responses = [error]
    with pytest.raises(type(error)) as caught:
        posted(world, before)

    assert caught.value is error
    assert world.record == replace(before, account=ACCOUNT)


@pytest.mark.parametrize("error", [kind("It went wrong.") for kind in OUTCOME_UNKNOWN_ERRORS])
def test_lost_response_is_returned(world: World, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    world.responses = [error]
    purchase, lost = posted(world)

    assert lost is error
    assert purchase == asked(account=ACCOUNT)
    assert caplog.messages == [
        "The outcome of the POST is unknown.",
        "The task searches VideoDB's list for its checkout.",
        "It went wrong.",
    ]
    # Whoever comes next polls as if it were under way still.
    assert world.record == INTENT


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug"), MemoryError()], ids=repr)
def test_broken_post_is_left_to_the_next_try(world: World, error: BaseException) -> None:
    def breaks() -> None:
        raise error

    world.meanwhile = breaks
    with pytest.raises(type(error)):
        posted(world)

    assert world.record == INTENT


def test_orphans_are_logged_before_the_next_post(world: World, caplog: pytest.LogCaptureFixture) -> None:
    purchase, _ = posted(world, asked(orphans=("cs_7", "cs_8")))

    assert purchase.orphans == ("cs_7", "cs_8")
    assert caplog.messages == [
        "VideoDB may have made these checkouts, but its responses were lost:",
        "cs_7, cs_8",
        "The task has no links to them. It makes a checkout with a link.",
    ]


class TestStoppedTry:
    @pytest.mark.parametrize("before", [NEW, asked(), asked(orphans=("cs_7",), ended={"cs_0": 20})])
    @pytest.mark.parametrize("error", [OVER, UNREADABLE])
    def test_stopped_try_sends_nothing_and_leaves_no_post_in_flight(
        self, world: World, before: Purchase, error: VideoDBError
    ) -> None:
        """Stopped, marked, replaced, or Airflow does not respond: the next try has nothing to wait for."""
        world.this_try.error = error
        with pytest.raises(type(error)) as caught:
            posted(world, before)

        assert caught.value is error
        assert world.posts == []
        assert world.record == replace(before, account=ACCOUNT)

    @pytest.mark.parametrize("fault", [NOT_KEPT, OVER])
    def test_stopped_try_says_so_even_if_that_is_not_recorded(self, world: World, fault: VideoDBError) -> None:
        world.this_try.error = OVER
        world.on_save = lambda: setattr(world.store, "fault", fault)
        with pytest.raises(VideoDBTryOverError) as caught:
            posted(world)

        assert caught.value is OVER
        assert world.posts == []
        # Then the next one waits in vain, which costs nobody a cent.
        assert world.record == INTENT

    @pytest.mark.parametrize("fault", [NOT_KEPT, RuntimeError("the disk is full")], ids=repr)
    def test_refused_intent_sends_nothing(self, world: World, fault: Exception) -> None:
        world.store.fault = fault
        with pytest.raises(type(fault)):
            posted(world)

        assert world.posts == []
        assert world.this_try.checks == 0

    @pytest.mark.parametrize("by", ["try-0", "try-2"])
    @pytest.mark.parametrize("when", ["before the intent", "after the intent"])
    def test_write_of_another_try_stops_this_one(self, world: World, by: str, when: str) -> None:
        theirs, poster_of_this_try = made(link_shared=True), poster(world)
        is_newer = by == "try-2"
        world.this_try.error = OVER if is_newer else None
        if when == "before the intent":
            world.keeps(theirs, by=by)
        else:
            world.on_save = lambda: world.keeps(theirs, by=by)
        with pytest.raises(VideoDBTryOverError if is_newer else VideoDBRecordUnreadableError):
            poster_of_this_try.post(NEW, None, there_before=())

        assert world.posts == []
        assert world.store.get("videodb_purchase") == {"format": 1, "try": by, "purchase": theirs.to_dict()}

    def test_every_post_asks_airflow_again(self, world: World) -> None:
        """Everything is asked again for each POST: what was allowed before says nothing of now."""
        sender = poster(world)
        sender.post(NEW, None, there_before=())
        world.this_try.error = OVER
        with pytest.raises(VideoDBTryOverError):
            sender.post(made(account=ACCOUNT), None, there_before=())

        assert len(world.posts) == 1


class TestResponse:
    def test_response_to_a_stopped_try_shares_no_link(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        theirs = asked(in_flight=45)

        def replaced() -> None:
            world.keeps(theirs, by="try-2")
            world.this_try.error = OVER

        world.meanwhile = replaced
        with pytest.raises(VideoDBTryOverError):
            posted(world)

        assert world.record == theirs
        assert caplog.messages == [
            "VideoDB made checkout cs_1 for 50 USD for a try that is over.",
            "Nobody gets its link, so it expires unpaid.",
        ]
        assert LINK not in caplog.text

    @pytest.mark.parametrize("fault", [NOT_KEPT, RuntimeError("the disk is full")], ids=repr)
    def test_response_that_is_not_kept_is_found_by_the_next_try(self, world: World, fault: Exception) -> None:
        world.meanwhile = lambda: setattr(world.store, "fault", fault)
        with pytest.raises(type(fault)):
            posted(world)

        assert world.record == INTENT

    def test_response_to_a_worker_told_to_stop_is_kept(self, world: World) -> None:
        """What was made was made: only the link stays where it is."""
        world.meanwhile = lambda: setattr(world.this_try, "error", OVER)
        purchase, _ = posted(world)

        assert world.record == purchase == made(account=ACCOUNT)
