"""
How a gate claims credits.

A gate raises its own flag, lists all flags, and only then reads the balance. Then it opens, or takes its flag down.
Three cases are possible for each other holder. It is in our list, so its hold covers both its unseen spending and its
future spending. Its flag came after our listing, so its own listing has our flag. Or it had settled, so the balance
shows its spending. This needs neither a lock nor a lease nor a clock. Any other order lets two gates count on the same
credits.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.holds.rules.account import assess, held_by_others, is_next
from airflow_provider_videodb.holds.rules.records import Flag, Kind
from airflow_provider_videodb.holds.rules.releasing import collect, release_flag
from airflow_provider_videodb.holds.rules.steps import IsEarlier, IsUnused, ListFlags, Put, ReadBalance, Remove

if TYPE_CHECKING:
    from collections.abc import Generator
    from decimal import Decimal

    from airflow_provider_videodb.holds.rules.account import Assessment, View
    from airflow_provider_videodb.holds.rules.steps import Step


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """
    What a gate wants.

    :param settlement_ms: how long released credits count, in milliseconds.
    :param reserve: credits that no gate may use.
    """

    account: str
    holder: str
    try_id: str
    credits: Decimal
    priority: int
    reserve: Decimal
    settlement_ms: int

    @property
    def owner(self) -> tuple[str, str]:
        """Holder and try."""
        return self.holder, self.try_id

    def flag(self, kind: Kind, ms: int) -> Flag:
        """Return a flag of this gate."""
        priority = self.priority if kind is Kind.WAITING else 0
        return Flag(
            account=self.account,
            holder=self.holder,
            try_id=self.try_id,
            kind=kind,
            credits=self.credits,
            ms=ms,
            priority=priority,
        )

    def is_next(self, view: View, balance: Decimal) -> bool:
        """Tell whether to try opening; see :func:`~.account.is_next`."""
        return is_next(
            view, balance, reserve=self.reserve, owner=self.owner, credits=self.credits, priority=self.priority
        )

    def can_hold(self, view: View, balance: Decimal) -> bool:
        """Tell whether every holder could finish after this gate opened."""
        return view.is_open and balance - self.reserve - held_by_others(view, self.owner) >= self.credits

    def assess(self, view: View, balance: Decimal) -> Assessment:
        """Assess the account for this gate."""
        return assess(
            view, balance, reserve=self.reserve, owner=self.owner, credits=self.credits, priority=self.priority
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimResult:
    """
    How a claim ended.

    :param is_held: whether the gate holds the credits, so that it may open.
    :param seen: the assessment that decided.
    :param was_contended: whether another gate raised its flag at the same time. Then it is worth trying again soon.
    :param is_outdated: whether somebody has left the queue meanwhile whom the assessment still counts. So is this.
    """

    is_held: bool
    seen: Assessment
    was_contended: bool = False
    is_outdated: bool = False


def claim_credits(claim: Claim) -> Generator[Step, Any, ClaimResult]:
    """Join the queue, and hold the credits if possible."""
    waiting = yield from enqueue(claim)
    view = yield ListFlags()
    seen = claim.assess(view, (yield ReadBalance()))
    if not seen.is_next(claim.credits):
        is_outdated = yield from collect(view, claim.settlement_ms, but=claim.holder)
        return ClaimResult(is_held=False, seen=seen, is_outdated=is_outdated)
    return (yield from _raise_flag(claim, view.listed_at, waiting))


def enqueue(claim: Claim) -> Generator[Step, Any, Flag]:
    """
    Join the queue, or keep the place of earlier tries.

    What earlier tries left is cleaned up first.
    """
    view: View = yield ListFlags()
    own = [flag for flag in view.flags if flag.holder == claim.holder]
    yield from _clean_up(claim, own, view)
    places = [flag for flag in own if flag.kind is Kind.WAITING]
    # Otherwise a clock that was ahead would give this gate a later place than a new gate gets.
    since = min([view.listed_at, *(flag.ms for flag in places)])
    waiting = claim.flag(Kind.WAITING, since)
    # Equal flags may have different keys: 75 and 75.0.
    if waiting.key not in {place.key for place in places}:
        yield Put(waiting)
    for place in places:
        if place.key != waiting.key:
            yield Remove(place)
    return waiting


def _clean_up(claim: Claim, own: list[Flag], view: View) -> Generator[Step, Any, None]:
    waiting = {flag.owner for flag in own if flag.kind is Kind.WAITING}
    released = {flag.owner for flag in own if flag.kind is Kind.RELEASED}
    for flag in own:
        if flag.try_id == claim.try_id and flag.kind in (Kind.HELD, Kind.RELEASED):
            # This try is still at its gate, so no job has used its flag. A release by hand would hide its next flag.
            yield Remove(flag)
        elif flag.kind is not Kind.HELD or not (yield IsEarlier(flag)):
            # If this try was frozen and Airflow gave it up, a later try may be opening the gate.
            continue
        elif flag.owner in waiting:
            # The gate did not open in that try, and no longer can.
            yield Remove(flag)
        elif flag.owner in released or (yield IsUnused(flag)):
            why = "a later try of the gate"
            yield from release_flag(flag, settlement_ms=claim.settlement_ms, why=why, view=view)


def _raise_flag(claim: Claim, now: int, waiting: Flag) -> Generator[Step, Any, ClaimResult]:
    held = claim.flag(Kind.HELD, now)
    try:
        yield Put(held)
        view: View = yield ListFlags()
        seen = claim.assess(view, (yield ReadBalance()))
        own = view.counted.get(claim.owner)
        # A person may have released it by hand meanwhile. Then other gates no longer count it.
        is_held = own is not None and own.flag == held and seen.can_hold(claim.credits)
        if is_held:
            # While a try has both flags, other processes know that its gate is not open. So this comes last.
            yield Remove(waiting)
    except GeneratorExit:
        # The process ends, so no step can be carried out.
        raise
    except BaseException:
        # The flag of a closed gate would block other gates. If this fails, the next try removes the flag.
        with suppress(VideoDBError):
            yield Remove(held)
        raise
    if not is_held:
        yield Remove(held)
    return ClaimResult(is_held=is_held, seen=seen, was_contended=not is_held)
