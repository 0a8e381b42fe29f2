"""Sending the POST of one try: recorded first, allowed second, and never once it is old."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    NO_EFFECT_ERRORS,
    OUTCOME_UNKNOWN_ERRORS,
    VideoDBAuthenticationError,
    VideoDBError,
    VideoDBNotSentError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.posting import MAX_INTENT_AGE, PostSender
from tests.support.checkouts import LINK, NOON, after, answered, asked, made
from tests.support.worlds import ACCOUNT, POST_TIMEOUT, NotedStore, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

OVER = VideoDBTryOverError("This try is over.")
UNREADABLE = VideoDBRecordUnreadableError("Airflow could not say.")
NOT_KEPT = VideoDBRecordNotKeptError("Airflow could not write.")
NEW = asked(posts=())
#: What the record shows while the POST is under way.
INTENT = asked(account=ACCOUNT, in_flight=MAX_INTENT_AGE + POST_TIMEOUT)


@pytest.fixture
def world() -> World:
    return World(answers=[answered()])


def poster(world: World) -> PostSender:
    journal = Journal(NotedStore(world), world.this_try)
    journal.load()
    world.done.clear()
    return PostSender(
        shop=world,
        journal=journal,
        current_try=world.this_try,
        account=ACCOUNT,
        timeout=POST_TIMEOUT,
        clock=world,  # type: ignore[arg-type]  # it has what a clock has
    )


def posted(world: World, purchase: Purchase = NEW, there_before: tuple[str, ...] = ()) -> tuple[Purchase, Any]:
    return poster(world).post(purchase, "https://back.example", there_before=there_before)


def test_an_intent_may_be_as_old_as_the_documents_say() -> None:
    assert MAX_INTENT_AGE == 5


def test_the_intent_is_recorded_then_read_back_then_allowed_then_sent(world: World) -> None:
    world.this_try.on_check = lambda: world.done.append("ask Airflow")
    world.before_writing = lambda: world.done.append("connect")
    purchase, error = posted(world)

    assert world.done == [
        *("read", "save", "read", "ask Airflow", "connect", "ask Airflow", "post"),
        # The answer overwrites the record that this try has written, and no other.
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


def test_while_it_is_under_way_the_record_shows_how_long_it_may_take(world: World) -> None:
    recorded: list[Purchase | None] = []
    world.meanwhile = lambda: recorded.append(world.record)
    posted(world, there_before=("cs_9", "cs_8"))

    assert recorded == [replace(INTENT, excluded_ids=("cs_9", "cs_8"))]


@pytest.mark.parametrize("error", [kind("It went wrong.") for kind in (*NO_EFFECT_ERRORS, VideoDBAuthenticationError)])
@pytest.mark.parametrize("before", [NEW, asked()])
def test_a_post_that_did_nothing_is_taken_back(world: World, error: Exception, before: Purchase) -> None:
    world.answers = [error]
    with pytest.raises(type(error)) as caught:
        posted(world, before)

    assert caught.value is error
    assert world.record == replace(before, account=ACCOUNT)


@pytest.mark.parametrize("error", [kind("It went wrong.") for kind in OUTCOME_UNKNOWN_ERRORS])
def test_a_lost_answer_is_handed_back(world: World, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    world.answers = [error]
    purchase, lost = posted(world)

    assert lost is error
    assert purchase == asked(account=ACCOUNT)
    assert caplog.messages == [
        "The outcome of the POST is unknown, so the task looks for its checkout in the list. It went wrong."
    ]
    # Whoever comes next looks as if it were under way still.
    assert world.record == INTENT


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a bug"), MemoryError()], ids=repr)
def test_what_breaks_a_post_leaves_it_for_the_next_try_to_look_into(world: World, error: BaseException) -> None:
    def breaks() -> None:
        raise error

    world.meanwhile = breaks
    with pytest.raises(type(error)):
        posted(world)

    assert world.record == INTENT


def test_orphans_are_named_before_it_asks_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    purchase, _ = posted(world, asked(orphans=("cs_7", "cs_8")))

    assert purchase.orphans == ("cs_7", "cs_8")
    [said] = caplog.messages
    assert said == (
        "VideoDB made these checkouts, but its responses were lost: cs_7, cs_8. Nobody has their links, so they expire "
        "unpaid."
    )


class TestATryThatMayNotSend:
    @pytest.mark.parametrize("before", [NEW, asked(), asked(orphans=("cs_7",), ended={"cs_0": 20})])
    @pytest.mark.parametrize("error", [OVER, UNREADABLE])
    def test_sends_nothing_and_shows_no_post_in_flight(
        self, world: World, before: Purchase, error: VideoDBError
    ) -> None:
        """Stopped, marked, replaced, or Airflow does not answer: the next try has nothing to wait for."""
        world.this_try.error = error
        with pytest.raises(type(error)) as caught:
            posted(world, before)

        assert caught.value is error
        assert world.posts == []
        assert world.record == replace(before, account=ACCOUNT)

    @pytest.mark.parametrize("fault", [NOT_KEPT, OVER])
    def test_says_so_where_that_cannot_be_recorded_either(self, world: World, fault: VideoDBError) -> None:
        world.this_try.error = OVER
        world.on_save = lambda: setattr(world.store, "fault", fault)
        with pytest.raises(VideoDBTryOverError) as caught:
            posted(world)

        assert caught.value is OVER
        assert world.posts == []
        # Then the next one waits in vain, which costs nobody a cent.
        assert world.record == INTENT

    @pytest.mark.parametrize("fault", [NOT_KEPT, RuntimeError("the disk is full")], ids=repr)
    def test_sends_nothing_where_the_intent_is_not_kept(self, world: World, fault: Exception) -> None:
        world.store.fault = fault
        with pytest.raises(type(fault)):
            posted(world)

        assert world.posts == []
        assert world.this_try.checks == 0

    @pytest.mark.parametrize("by", ["try-0", "try-2"])
    @pytest.mark.parametrize("when", ["before the intent", "after the intent"])
    def test_leaves_what_another_try_has_written(self, world: World, by: str, when: str) -> None:
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

    def test_may_be_told_at_the_last_moment(self, world: World) -> None:
        """Everything is asked again for each POST: what was allowed before says nothing of now."""
        sender = poster(world)
        sender.post(NEW, None, there_before=())
        world.this_try.error = OVER
        with pytest.raises(VideoDBTryOverError):
            sender.post(made(account=ACCOUNT), None, there_before=())

        assert len(world.posts) == 1


class TestAnIntentThatGrowsOld:
    #: What passes while Airflow keeps the intent and is asked: by the wall, and by seconds that nobody can set back.
    STALE = pytest.mark.parametrize(
        ("wall", "monotonic"),
        [(5.1, 0), (0, 5.1), (5.1, 5.1), (-5.1, 0), (-3600, 0), (3600, 0), (0, 3600), (-3600, 5.1)],
    )
    FRESH = pytest.mark.parametrize(("wall", "monotonic"), [(0, 0), (5, 5), (-5, 5), (5, 0), (0, 5)])

    @staticmethod
    def pass_time(world: World, wall: float, monotonic: float) -> None:
        world.time += timedelta(seconds=wall)
        world.seconds += monotonic

    @FRESH
    @pytest.mark.parametrize("where", ["on_save", "on_check", "before_writing"])
    def test_is_sent_while_it_is_fresh(self, world: World, where: str, wall: float, monotonic: float) -> None:
        self.happen_once(world, where, lambda: self.pass_time(world, wall, monotonic))
        posted(world)

        assert len(world.posts) == 1
        # Before it connects, and once more when nothing but the write is left.
        assert world.this_try.checks == 2

    @STALE
    @pytest.mark.parametrize(("where", "times"), [("on_save", 1), ("on_check", 1), ("on_check", 2)])
    def test_is_recorded_anew(self, world: World, where: str, times: int, wall: float, monotonic: float) -> None:
        self.happen_once(world, where, lambda: self.pass_time(world, wall, monotonic), times=times)
        purchase, _ = posted(world)

        assert world.this_try.checks == times + 2
        # One POST was sent, at the time of the intent that was not old.
        assert purchase.posts == (after(times * wall).isoformat(),)
        assert [post["at"] for post in world.posts] == list(purchase.posts)

    @STALE
    @pytest.mark.parametrize("before", [NEW, asked()])
    def test_is_not_sent_where_airflow_takes_too_long_each_time(
        self, world: World, before: Purchase, wall: float, monotonic: float
    ) -> None:
        world.this_try.on_check = lambda: self.pass_time(world, wall, monotonic)
        with pytest.raises(VideoDBRecordUnreadableError) as caught:
            posted(world, before)

        assert str(caught.value) == (
            "Airflow took longer than 5 s to record this purchase and to say that this try may make it. Nothing was "
            "sent. Next step: check Airflow's API server and its database, then retry the task."
        )
        assert world.this_try.checks == 3
        assert world.posts == []
        assert world.record == replace(before, account=ACCOUNT)

    @pytest.mark.parametrize(("wall", "monotonic"), [(5.1, 5.1), (0, 14.9), (-14.9, 0), (14.9, 14.9)])
    def test_is_sent_where_it_takes_long_to_connect(self, world: World, wall: float, monotonic: float) -> None:
        world.before_writing = lambda: self.pass_time(world, wall, monotonic)
        posted(world)

        assert len(world.posts) == 1

    @pytest.mark.parametrize("error", [OVER, VideoDBRecordUnreadableError("no answer")])
    def test_is_not_sent_by_a_try_that_was_told_to_stop_while_it_connects(
        self, world: World, error: VideoDBError
    ) -> None:
        world.before_writing = lambda: setattr(world.this_try, "error", error)
        with pytest.raises(type(error)):
            posted(world)

        assert world.posts == []
        assert world.record == replace(NEW, account=ACCOUNT)

    @pytest.mark.parametrize(
        ("wall", "monotonic"), [(15.1, 0), (0, 15.1), (15.1, 15.1), (-15.1, 0), (-3600, 0), (3600, 0), (0, 3600)]
    )
    @pytest.mark.parametrize("before", [NEW, asked()])
    def test_is_not_sent_by_a_worker_that_stood_still_on_the_way(
        self, world: World, before: Purchase, wall: float, monotonic: float
    ) -> None:
        """Frozen while it connects: another try may have begun, which nobody is asked about any more."""
        world.before_writing = lambda: self.pass_time(world, wall, monotonic)
        with pytest.raises(VideoDBNotSentError) as caught:
            posted(world, before)

        assert str(caught.value) == (
            f"The connection to VideoDB opened {max(abs(wall), monotonic):.0f} s after the purchase was recorded; 15 s "
            "are allowed. So another try of the task may have taken over. Nothing was sent. Next step: check the "
            "network, then retry the task."
        )
        assert world.posts == []
        assert world.record == replace(before, account=ACCOUNT)

    def test_is_not_taken_back_where_a_newer_try_has_taken_over(self, world: World) -> None:
        theirs = asked(in_flight=45)

        def freezes() -> None:
            self.pass_time(world, 300, 300)
            world.keeps(theirs, by="try-2")
            world.this_try.error = OVER

        world.before_writing = freezes
        with pytest.raises(VideoDBTryOverError):
            posted(world)

        assert world.posts == []
        assert world.record == theirs

    @staticmethod
    def happen_once(world: World, where: str, act: Callable[[], None], *, times: int = 1) -> None:
        left = [act] * times
        owner: Any = world.this_try if where == "on_check" else world
        setattr(owner, where, lambda: left.pop()() if left else None)


class TestAnAnswer:
    def test_that_comes_to_a_try_that_is_over_is_shown_to_nobody(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        theirs = asked(in_flight=45)

        def replaced() -> None:
            world.keeps(theirs, by="try-2")
            world.this_try.error = OVER

        world.meanwhile = replaced
        with pytest.raises(VideoDBTryOverError):
            posted(world)

        assert world.record == theirs
        (said,) = caplog.messages
        assert said == (
            "VideoDB made checkout cs_1 over 50 USD for a try that is over. Nobody gets its link, so it expires unpaid."
        )
        assert LINK not in caplog.text

    @pytest.mark.parametrize("fault", [NOT_KEPT, RuntimeError("the disk is full")], ids=repr)
    def test_that_is_not_kept_is_looked_for_by_the_next_try(self, world: World, fault: Exception) -> None:
        world.meanwhile = lambda: setattr(world.store, "fault", fault)
        with pytest.raises(type(fault)):
            posted(world)

        assert world.record == INTENT

    def test_that_is_told_to_stop_meanwhile_is_kept(self, world: World) -> None:
        """What was made was made: only the link stays where it is."""
        world.meanwhile = lambda: setattr(world.this_try, "error", OVER)
        purchase, _ = posted(world)

        assert world.record == purchase == made(account=ACCOUNT)
