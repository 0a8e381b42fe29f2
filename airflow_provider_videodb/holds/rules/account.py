"""
What an account can promise at one moment.

``available = balance - reserve - what others hold``. A waiting gate also leaves the credits that are promised to
the gates ahead of it. The queue is for fairness only. Safety depends on what is held.
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

#: A smaller request may pass a larger one that has waited for less than this many milliseconds.
BYPASS_MS = 30 * 60 * 1000
#: A gate that has not decided this many milliseconds after raising its flag has died.
_OPENING_MS = 60 * 1000


@dataclass(frozen=True, kw_only=True)
class View:
    """
    All flags of one account in one listing.

    A thousand gates may assess one view, so it counts and sorts its flags once.

    :param listed_at: the clock before the listing, in milliseconds since 1970.
    :param is_complete: ``False`` if the account has more flags than one listing returns. Then no gate may open.
    """

    flags: tuple[Flag, ...]
    listed_at: int
    is_complete: bool = True

    @cached_property
    def counted(self) -> dict[tuple[str, str], Counted]:
        """What counts as held, by owner."""
        return {one.flag.owner: one for one in count(self)}

    @cached_property
    def held(self) -> Decimal:
        """Credits that all holders hold together."""
        return sum((one.flag.credits for one in self.counted.values()), Decimal(0))

    @cached_property
    def queue(self) -> tuple[Flag, ...]:
        """The waiting gates, in the order of their turns."""
        return tuple(queue_of(self.flags))

    @cached_property
    def places(self) -> dict[str, int]:
        """Each holder's place in the queue, from 0 on."""
        return {flag.holder: place for place, flag in enumerate(self.queue)}

    @cached_property
    def waiting_since(self) -> dict[str, int]:
        """Since when each holder waits, opening ones included."""
        latest_first = sorted(self.flags, key=lambda flag: -flag.ms)
        return {flag.holder: flag.ms for flag in latest_first if flag.kind is Kind.WAITING}

    @property
    def is_open(self) -> bool:
        """Whether any gate may open."""
        return self.paused_until is None and self.is_complete

    @cached_property
    def paused_until(self) -> int | None:
        """Until when no gate may open, see :class:`Assessment`."""
        pauses = [
            flag.ms for flag in self.flags if flag.kind is Kind.PAUSED and (not flag.ms or flag.ms > self.listed_at)
        ]
        if not pauses:
            return None
        return 0 if 0 in pauses else max(pauses)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """
    Credits that no other gate may count on.

    :param flag: the flag that counts: held, or released and still settling.
    :param is_opening: whether the holder has just raised the flag, and may take it down again.
    """

    flag: Flag
    is_opening: bool = False

    @property
    def is_settling(self) -> bool:
        """Whether the credits are released and still settle."""
        return self.flag.kind is Kind.RELEASED


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """
    What one account can promise to one gate.

    :param balance: credits that VideoDB shows.
    :param reserve: credits that no gate may use.
    :param counted: what others hold.
    :param ahead: the gates before this one in the queue, without those that it may pass.
    :param before: all gates before this one in the queue.
    :param place: of this gate in the queue, from 1 on.
    :param waiting: how many gates wait, this one included.
    :param paused_until: milliseconds since 1970; 0 until a person resumes; ``None`` if the account is not paused.
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
        """Credits that the gates ahead wait for."""
        return sum((flag.credits for flag in self.ahead), Decimal(0))

    @property
    def available(self) -> Decimal:
        """Credits that a hold may take."""
        return self.balance - self.reserve - self.held

    @property
    def is_open(self) -> bool:
        """Whether any gate may open."""
        return self.paused_until is None and self.is_complete

    def can_hold(self, credits: Decimal) -> bool:
        """Tell whether this gate may safely open."""
        return self.is_open and self.available >= credits

    def is_next(self, credits: Decimal) -> bool:
        """Tell whether it is this gate's turn to open."""
        return self.is_open and self.available - self.promised >= credits

    def is_kept_by_others(self, credits: Decimal) -> bool:
        """Tell whether only others keep a closed gate closed."""
        return not self.is_open or self.balance - self.reserve >= credits

    def shortfall(self, credits: Decimal, *, but: str = "") -> Decimal:
        """
        Return the credits to buy; 0 if buying would not help.

        The gates before this one buy what they lack, and the first also buys what the account owes to holds. So each
        gate buys only its own part, and together they buy what all of them need. While another gate is opening, it is
        unknown what it leaves.

        :param but: a holder whose flags do not count, because the holds of earlier tries of the gate become free.
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
    :param owner: holder and try of the gate. Its own flags do not count. Those of its earlier tries do.
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
    Return :meth:`Assessment.is_next`, without the rest.

    A thousand gates may ask at each poll. So this stops at the first gate ahead that needs the last credits.
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
    """Return the credits that others than this owner hold."""
    own = view.counted.get(owner)
    return view.held - own.flag.credits if own else view.held


def count(view: View) -> list[Counted]:
    """
    Return what counts as held, one flag per owner.

    A release records ``r`` before it removes ``h``, so once ``r`` is there, only ``r`` counts. If a try has several
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
        Counted(
            flag=flag,
            is_opening=flag.owner in waiting and flag.kind is Kind.HELD and view.listed_at - flag.ms < _OPENING_MS,
        )
        for flag in sorted(largest.values(), key=lambda flag: flag.key)
    ]


def queue_of(flags: Iterable[Flag]) -> list[Flag]:
    """
    Return the waiting gates, in the order of their turns.

    A holder has one place. While its credits change, the larger figure counts. A gate that waits and holds is just
    opening, and its credits count as held already.
    """
    everything = tuple(flags)
    opening = {flag.owner for flag in everything if flag.kind is Kind.HELD}
    places: dict[str, Flag] = {}
    waiting = [flag for flag in everything if flag.kind is Kind.WAITING]
    for flag in sorted(waiting, key=lambda flag: (_order(flag), -flag.credits, flag.try_id)):
        if flag.owner not in opening:
            places.setdefault(flag.holder, flag)
    return sorted(places.values(), key=_order)


def _before(view: View, holder: str, priority: int) -> tuple[Flag, ...]:
    """Return the gates before this one, even if it is new."""
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
