"""The time that passes while a try buys, by two clocks of which somebody may set one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_videodb.purchases import clock as module
from airflow_provider_videodb.purchases.clock import Clock, TryClock, age_from_now
from tests.support.checkouts import NOON, asked, expired, listed, made

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


@dataclass
class TwoClocks:
    """A clock on the wall, and seconds that nobody can set back."""

    wall: datetime = NOON
    seconds: float = 1000

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits {seconds} s here")


@pytest.fixture
def clocks() -> TwoClocks:
    return TwoClocks()


def try_clock(clocks: TwoClocks, *, in_flight: float = 0) -> TryClock:
    return TryClock(clocks, in_flight=in_flight)  # type: ignore[arg-type]  # it has what a clock has


def test_clock_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append, monotonic=lambda: 12.5))
    clock = Clock()
    before = datetime.now(UTC)

    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() == 12.5
    clock.sleep(1.5)
    assert slept == [1.5]


@pytest.mark.parametrize("in_flight", [0, 5, 35, 45.5])
@pytest.mark.parametrize("wall", [NOON, NOON - timedelta(days=1), NOON + timedelta(days=1)])
def test_post_of_another_try_gets_its_whole_time_again(clocks: TwoClocks, in_flight: float, wall: datetime) -> None:
    time = try_clock(clocks, in_flight=in_flight)
    clocks.wall = wall

    assert time.quiet_for(1000) == timedelta(seconds=-in_flight)
    assert time.quiet_for(1000 + in_flight) == timedelta(0)
    assert time.quiet_for(1010 + in_flight) == timedelta(seconds=10)


def test_end_of_its_own_post_is_known(clocks: TwoClocks) -> None:
    time = try_clock(clocks, in_flight=45)
    clocks.seconds = 1100
    time.note_end_of_post()

    assert time.quiet_for(1100) == timedelta(0)
    assert time.quiet_for(1104.5) == timedelta(seconds=4.5)


class TestExpiredFor:
    @pytest.mark.parametrize(
        ("polls", "seconds"),
        [
            ([(5, [expired()])], 0),
            ([(5, [expired()]), (12, [expired()])], 7),
            ([(5, [expired()]), (12, [expired()]), (15, [expired()])], 10),
            # A word or a list that says otherwise in between begins it anew.
            ([(5, [expired()]), (12, [listed()]), (15, [expired()])], 0),
            ([(5, [expired()]), (12, [listed(status="processing")]), (15, [expired()]), (16, [expired()])], 1),
            ([(5, [expired()]), (12, []), (15, [expired()])], 0),
            ([(5, [expired()]), (12, [expired("cs_2")]), (15, [expired()])], 0),
            ([(5, [expired("cs_2")]), (12, [expired(), expired("cs_2")])], 0),
        ],
    )
    def test_expiry_is_timed_from_the_first_poll_of_this_try(
        self, clocks: TwoClocks, polls: list[tuple[float, list[Checkout]]], seconds: float
    ) -> None:
        time = try_clock(clocks)
        for moment, entries in polls:
            for_so_long = time.expired_for(made(), entries, moment)

        assert for_so_long == timedelta(seconds=seconds)

    @pytest.mark.parametrize(
        ("purchase", "entries"),
        [
            (None, [expired()]),
            (asked(), [expired(), expired(None)]),
            (made(), [listed()]),
            (made(), [listed(status="processing")]),
            (made(), [expired("cs_2")]),
            (made(), []),
        ],
    )
    def test_expiry_is_not_timed_for_another_state_or_checkout(
        self, clocks: TwoClocks, purchase: Purchase | None, entries: list[Checkout]
    ) -> None:
        assert try_clock(clocks).expired_for(purchase, entries, 1000) is None

    def test_expiry_is_timed_for_each_checkout(self, clocks: TwoClocks) -> None:
        """The next generation's is not believed on what was seen of the one before."""
        time, both = try_clock(clocks), [expired(), expired("cs_2")]
        time.expired_for(made(), both, 1000)
        assert time.expired_for(made(), both, 1010) == timedelta(seconds=10)

        following = made(checkout_id="cs_2")
        assert time.expired_for(following, both, 1012) == timedelta(0)
        assert time.expired_for(following, both, 1023) == timedelta(seconds=11)


@pytest.mark.parametrize(
    ("wall", "monotonic", "age"),
    [
        (0, 0, 0),
        (3, 3, 3),
        # A machine that slept may count its seconds in one of the two only.
        (3600, 3, 3600),
        (3, 3600, 3600),
        # A clock that was set back or forward meanwhile.
        (-3600, 3, 3600),
        (-3, 1, 3),
        (86400, 0, 86400),
    ],
)
def test_age_is_that_of_the_clock_that_went_further(
    clocks: TwoClocks, wall: float, monotonic: float, age: float
) -> None:
    age_of = age_from_now(clocks)  # type: ignore[arg-type]  # it has what a clock has
    clocks.wall += timedelta(seconds=wall)
    clocks.seconds += monotonic

    assert age_of() == age
