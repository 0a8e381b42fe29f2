"""
What an account can promise at one moment.

``available = balance - reserve - what others hold``. A waiting gate also leaves alone what is promised to those ahead
of it in the queue. The queue is for fairness only: safety depends on what is held.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_videodb.holds.rules.records import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_videodb.holds.rules.records import Flag

#: A smaller request may pass one that has waited for less than this many milliseconds.
BYPASS_MS = 30 * 60 * 1000
#: A gate has decided within this many milliseconds after it raised its flag, or it has died.
_OPENING_MS = 60 * 1000


@dataclass(frozen=True, kw_only=True)
class View:
    """
    All flags of one account, as one listing showed them.

    A thousand gates may assess one view, so it counts and sorts its flags once.

    :param listed_at: the clock before the listing, in milliseconds since 1970.
    :param is_complete: ``False`` if the account has more flags than one listing returns. Then nobody may start.
    """

    flags: tuple[Flag, ...]
    listed_at: int
    is_complete: bool = True

    @cached_property
    def counted(self) -> dict[tuple[str, str], Counted]:
        """What counts as held, by holder and try."""
        return {one.flag.owner: one for one in count(self)}

    @cached_property
    def held(self) -> Decimal:
        """Credits that all holders hold together."""
        return sum((one.flag.credits for one in self.counted.values()), Decimal(0))

    @cached_property
    def queue(self) -> tuple[Flag, ...]:
        """Those who wait, the first one first."""
        return tuple(queue_of(self.flags))

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each holder in the queue, from 0 on."""
        return {flag.holder: place for place, flag in enumerate(self.queue)}

    @cached_property
    def waiting_since(self) -> dict[str, int]:
        """Since when each holder waits, also one that is just opening and so is not in the queue."""
        latest_first = sorted(self.flags, key=lambda flag: -flag.ms)
        return {flag.holder: flag.ms for flag in latest_first if flag.kind is Kind.WAITING}

    @property
    def is_open(self) -> bool:
        """Whether anybody may start at all."""
        return self.paused_until is None and self.is_complete

    @cached_property
    def paused_until(self) -> int | None:
        """Until when nobody may start, see :class:`Assessment`."""
        pauses = [
            flag.ms for flag in self.flags if flag.kind is Kind.PAUSED and (not flag.ms or flag.ms > self.listed_at)
        ]
        if not pauses:
            return None
        return 0 if 0 in pauses else max(pauses)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """
    Credits that nobody else may count on.

    :param flag: the flag that says so: held, or released and still settling.
    :param is_opening: whether the holder has just raised the flag, and may take it down again.
    """

    flag: Flag
    is_opening: bool = False

    @property
    def is_settling(self) -> bool:
        """Whether the holder has finished, and its spending may not show yet."""
        return self.flag.kind is Kind.RELEASED


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """
    What one account can promise to one gate.

    :param balance: credits that VideoDB shows.
    :param reserve: credits that no gate may use.
    :param counted: what others hold.
    :param ahead: those in the queue whose turn comes before this gate, and who leave it less.
    :param before: all those in the queue whose turn comes before this gate, those whom it may pass included.
    :param place: of this gate in the queue, from 1 on.
    :param waiting: how many gates wait, this one included.
    :param paused_until: milliseconds since 1970; 0 until somebody resumes; ``None`` if the account is not paused.
    :param is_complete: see :class:`View`.
    """

    balance: Decimal
    reserve: Decimal
    counted: tuple[Counted, ...]
    ahead: tuple[Flag, ...]
    before: tuple[Flag, ...]
    first: Flag | None
    place: int
    waiting: int
    paused_until: int | None
    is_complete: bool

    @property
    def held(self) -> Decimal:
        """Credits that others hold, settling ones included."""
        return sum((one.flag.credits for one in self.counted), Decimal(0))

    @property
    def promised(self) -> Decimal:
        """Credits that those ahead wait for."""
        return sum((flag.credits for flag in self.ahead), Decimal(0))

    @property
    def available(self) -> Decimal:
        """Credits that a hold may take."""
        return self.balance - self.reserve - self.held

    @property
    def is_open(self) -> bool:
        """Whether anybody may start at all."""
        return self.paused_until is None and self.is_complete

    def can_hold(self, credits: Decimal) -> bool:
        """Tell whether every holder can finish if this gate opens. This alone makes opening safe."""
        return self.is_open and self.available >= credits

    def is_next(self, credits: Decimal) -> bool:
        """Tell whether this gate may try to open, without taking what is promised to those ahead."""
        return self.is_open and self.available - self.promised >= credits

    def is_kept_by_others(self, credits: Decimal) -> bool:
        """Tell whether the account has enough for a closed gate, so that others alone keep it closed."""
        return not self.is_open or self.balance - self.reserve >= credits

    def shortfall(self, credits: Decimal, *, but: str = "") -> Decimal:
        """
        Return the credits that have to be bought for this gate; 0 if none, or if buying would not open it.

        Those before this gate who lack credits buy their own, and the first of them also buys what the account owes to
        holds. So each gate buys what its place in the queue leaves open, and together they buy what all of them need.
        While another gate is opening, nobody knows yet what it leaves.

        :param but: a holder whose flags do not count, because what earlier tries of the gate hold comes free.
        """
        others = [one for one in self.counted if one.flag.holder != but]
        if not self.is_open or any(one.is_opening for one in others):
            return Decimal(0)
        available = self.balance - self.reserve - sum((one.flag.credits for one in others), Decimal(0))
        wanted_before = sum((flag.credits for flag in self.before), Decimal(0))
        left = max(Decimal(0), available - wanted_before) if self.before else available
        return max(Decimal(0), credits - left)


def assess(
    view: View,
    balance: Decimal,
    *,
    reserve: Decimal,
    owner: tuple[str, str],
    credits: Decimal,
    priority: int = 0,
) -> Assessment:
    """
    Assess an account for one gate.

    :param balance: what VideoDB showed after the listing.
    :param owner: holder and try of the gate. Its own flags do not count, those of its earlier tries do.
    """
    before = _before(view, owner[0], priority)
    return Assessment(
        balance=balance,
        reserve=reserve,
        counted=tuple(one for one in view.counted.values() if one.flag.owner != owner),
        ahead=tuple(flag for flag in before if _goes_first(flag, credits, priority, now=view.listed_at)),
        first=view.queue[0] if view.queue else None,
        before=before,
        place=len(before) + 1,
        waiting=len(view.queue) + (owner[0] not in view.places),
        paused_until=view.paused_until,
        is_complete=view.is_complete,
    )


def is_next(
    view: View,
    balance: Decimal,
    *,
    reserve: Decimal,
    owner: tuple[str, str],
    credits: Decimal,
    priority: int = 0,
) -> bool:
    """
    Say what the :meth:`Assessment.is_next` of :func:`assess` says, without the rest.

    A thousand gates may ask at each poll. This looks at those ahead only until they need what is available.
    """
    left = balance - reserve - held_by_others(view, owner) - credits
    if left < 0 or not view.is_open:
        return False
    for flag in _before(view, owner[0], priority):
        if _goes_first(flag, credits, priority, now=view.listed_at):
            left -= flag.credits
            if left < 0:
                return False
    return True


def held_by_others(view: View, owner: tuple[str, str]) -> Decimal:
    """Return the credits that others hold than this holder and try."""
    own = view.counted.get(owner)
    return view.held - own.flag.credits if own else view.held


def count(view: View) -> list[Counted]:
    """
    Return what counts as held, at most one flag per holder and try.

    A release records ``r`` before it removes ``h``, so ``r`` alone counts as soon as it is there. If a try has several
    flags of one kind, only one of them can have opened its gate, so the largest counts.
    """
    released = {flag.owner for flag in view.flags if flag.kind is Kind.RELEASED}
    largest: dict[tuple[str, str], Flag] = {}
    for flag in view.flags:
        is_settling = flag.kind is Kind.RELEASED and flag.ms > view.listed_at
        is_held = flag.kind is Kind.HELD and flag.owner not in released
        if (is_settling or is_held) and (flag.owner not in largest or largest[flag.owner].credits < flag.credits):
            largest[flag.owner] = flag
    waiting = {flag.owner for flag in view.flags if flag.kind is Kind.WAITING}
    return [
        Counted(flag=flag, is_opening=flag.owner in waiting and _was_just_raised(flag, now=view.listed_at))
        for flag in sorted(largest.values(), key=lambda flag: flag.key)
    ]


def queue_of(flags: Iterable[Flag]) -> list[Flag]:
    """
    Return those who wait, the first one first.

    A holder has one place, the larger one while its credits change. Somebody who waits and holds is just opening, and
    already counted.
    """
    everything = tuple(flags)
    opening = {flag.owner for flag in everything if flag.kind is Kind.HELD}
    places: dict[str, Flag] = {}
    waiting = [flag for flag in everything if flag.kind is Kind.WAITING]
    for flag in sorted(waiting, key=lambda flag: (_order(flag), -flag.credits, flag.try_id)):
        if flag.owner not in opening:
            places.setdefault(flag.holder, flag)
    return sorted(places.values(), key=_order)


def _was_just_raised(flag: Flag, *, now: int) -> bool:
    return flag.kind is Kind.HELD and now - flag.ms < _OPENING_MS


def _before(view: View, holder: str, priority: int) -> tuple[Flag, ...]:
    """Return those in the queue before a gate; one without a place would come last of its priority."""
    place = view.places.get(holder)
    if place is not None:
        return view.queue[:place]
    me = (-priority, view.waiting_since.get(holder, view.listed_at), holder)
    return view.queue[: bisect_left(view.queue, me, key=_order)]


def _order(flag: Flag) -> tuple[int, int, str]:
    return -flag.priority, flag.ms, flag.holder


def _goes_first(flag: Flag, credits: Decimal, priority: int, *, now: int) -> bool:
    may_be_passed = flag.priority == priority and credits < flag.credits and now - flag.ms < BYPASS_MS
    return not may_be_passed
