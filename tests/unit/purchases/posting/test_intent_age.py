"""An intent that grows old is not sent, because another try may have taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBError,
    VideoDBNotSentError,
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from tests.support.checkouts import after, asked, responded
from tests.support.posting import NEW, posted
from tests.support.worlds import ACCOUNT, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.purchases.rules.purchase import Purchase


OVER = VideoDBTryOverError("This try is over.")


@pytest.fixture
def world() -> World:
    return World(responses=[responded()])


class TestIntentAge:
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
    def test_fresh_intent_is_sent(self, world: World, where: str, wall: float, monotonic: float) -> None:
        self.happen_once(world, where, lambda: self.pass_time(world, wall, monotonic))
        posted(world)

        assert len(world.posts) == 1
        # Before it connects, and once more when nothing but the write is left.
        assert world.this_try.checks == 2

    @STALE
    @pytest.mark.parametrize(("where", "times"), [("on_save", 1), ("on_check", 1), ("on_check", 2)])
    def test_old_intent_is_recorded_again(
        self, world: World, where: str, times: int, wall: float, monotonic: float
    ) -> None:
        self.happen_once(world, where, lambda: self.pass_time(world, wall, monotonic), times=times)
        purchase, _ = posted(world)

        assert world.this_try.checks == times + 2
        # One POST was sent, at the time of the intent that was not old.
        assert purchase.posts == (after(times * wall).isoformat(),)
        assert [post["at"] for post in world.posts] == list(purchase.posts)

    @STALE
    @pytest.mark.parametrize("before", [NEW, asked()])
    def test_intent_is_not_sent_if_airflow_is_always_slow(
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
    def test_slow_connection_is_allowed(self, world: World, wall: float, monotonic: float) -> None:
        world.before_writing = lambda: self.pass_time(world, wall, monotonic)
        posted(world)

        assert len(world.posts) == 1

    @pytest.mark.parametrize("error", [OVER, VideoDBRecordUnreadableError("no response")])
    def test_try_stopped_during_the_connection_sends_nothing(self, world: World, error: VideoDBError) -> None:
        world.before_writing = lambda: setattr(world.this_try, "error", error)
        with pytest.raises(type(error)):
            posted(world)

        assert world.posts == []
        assert world.record == replace(NEW, account=ACCOUNT)

    @pytest.mark.parametrize(
        ("wall", "monotonic"), [(15.1, 0), (0, 15.1), (15.1, 15.1), (-15.1, 0), (-3600, 0), (3600, 0), (0, 3600)]
    )
    @pytest.mark.parametrize("before", [NEW, asked()])
    def test_worker_frozen_during_the_connection_sends_nothing(
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

    def test_intent_of_a_newer_try_is_not_taken_back(self, world: World) -> None:
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
