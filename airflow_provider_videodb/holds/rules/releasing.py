"""
How a hold ends.

It ends with its release, or with its DAG run.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.holds.rules.steps import IsOver, Put, Remove, SettlesAt, WriteJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from airflow_provider_videodb.holds.rules.account import View
    from airflow_provider_videodb.holds.rules.records import Flag
    from airflow_provider_videodb.holds.rules.steps import Step

#: How many settled flags one release removes at most.
_REMOVED_AT_ONCE = 20
#: How many waiting gates are checked at a time, from the head of the queue.
_CHECKED_WAITERS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """
    What a release has ended.

    :param holds: one flag for each hold.
    :param counted: credits that still count while their spending settles.
    """

    holds: tuple[Flag, ...]
    counted: Decimal

    @property
    def credits(self) -> Decimal:
        """Credits that the holds had set aside."""
        return sum((flag.credits for flag in self.holds), Decimal(0))


def release_gate(
    view: View,
    holders: str,
    *,
    settlement_ms: Callable[[Flag], int],
    why: str,
    spent: Decimal | None = None,
) -> Generator[Step, Any, Released]:
    """
    Release a gate's holds, and remove it from the queue.

    :param holders: see :meth:`~.records.Flag.is_of`.
    :param settlement_ms: how long the credits of a flag count after their release, in milliseconds.
    :param why: who releases.
    :param spent: credits that the jobs used. If there are several holds, it is unknown which one they used. So this
        figure is ignored, and all credits count.
    """
    own = [flag for flag in view.flags if flag.is_of(holders)]
    recorded = {flag.owner: flag.credits for flag in own if flag.kind is Kind.RELEASED}
    holds, surplus = holds_of(own)
    counted = Decimal(0)
    for flag in surplus:
        yield Remove(flag)
    used = spent if len(holds) == 1 else None
    for flag in holds:
        counted += recorded.get(flag.owner, flag.credits if used is None else used)
        yield from release_flag(flag, settlement_ms=settlement_ms(flag), why=why, view=view, spent=used)
    for flag in own:
        if flag.kind is Kind.WAITING:
            yield Remove(flag)
    # Only waiting gates collect. Without this, settled flags would pile up on an account where no gate waits.
    yield from remove_settled(view, at_most=_REMOVED_AT_ONCE)
    return Released(holds=tuple(holds), counted=counted)


def holds_of(flags: Iterable[Flag]) -> tuple[list[Flag], list[Flag]]:
    """
    Return each hold's flag, oldest first, and surplus flags.

    A try that has several flags holds the largest, because that one counts.
    """
    tries: dict[tuple[str, str], list[Flag]] = defaultdict(list)
    for flag in flags:
        if flag.kind is Kind.HELD:
            tries[flag.owner].append(flag)
    largest_first = [sorted(group, key=lambda flag: flag.credits, reverse=True) for group in tries.values()]
    holds = sorted((group[0] for group in largest_first), key=lambda flag: (flag.ms, flag.key))
    return holds, [flag for group in largest_first for flag in group[1:]]


def collect(view: View, settlement_ms: int, *, but: str = "") -> Generator[Step, Any, bool]:
    """
    Remove the flags of ended tasks.

    A hold does not expire. It ends with its release or with its DAG run. Waiting gates notice the end of the run.

    :param settlement_ms: how long released credits count at least, in milliseconds.
    :param but: a holder to leave alone.
    :return: whether a place in the queue was removed, so that the view promises too much to those ahead.
    """
    released = {flag.owner for flag in view.flags if flag.kind is Kind.RELEASED}
    yield from remove_settled(view)
    for flag in view.flags:
        if flag.holder == but:
            continue
        if flag.kind is Kind.HELD and (flag.owner in released or (yield IsOver(flag))):
            yield from release_flag(flag, settlement_ms=settlement_ms, why="the end of the DAG run", view=view)
        elif flag.kind is Kind.PAUSED and flag.ms and flag.ms <= view.listed_at:
            yield Remove(flag)
    has_removed_place = False
    for flag in view.queue[:_CHECKED_WAITERS]:
        if flag.holder != but and (yield IsOver(flag)):
            yield Remove(flag)
            has_removed_place = True
    return has_removed_place


def remove_settled(view: View, *, at_most: int | None = None) -> Generator[Step, Any, None]:
    """Remove released flags that no longer count."""
    held = {flag.owner for flag in view.flags if flag.kind is Kind.HELD}
    settled = [flag for flag in view.flags if flag.kind is Kind.RELEASED and flag.ms <= view.listed_at]
    # If the held flag is still there, removing the released one would make it count again.
    for flag in [flag for flag in settled if flag.owner not in held][:at_most]:
        yield Remove(flag)


def release_flag(
    flag: Flag, *, settlement_ms: int, why: str, view: View, spent: Decimal | None = None
) -> Generator[Step, Any, None]:
    """
    Release one hold.

    Its credits count until the balance shows their spending. The caller knows that the work has stopped.

    :param settlement_ms: how long they count from now on at least, in milliseconds.
    :param why: who released it.
    :param spent: credits; ``None`` if unknown, and then all of them count. If a job used more than it held, all that it
        used counts.
    """
    is_recorded = any(one.kind is Kind.RELEASED and one.owner == flag.owner for one in view.flags)
    if not is_recorded:
        counts = flag.credits if spent is None else spent
        # The note comes first. A release that dies after it is repeated, and its first note counts. In the other
        # order, a release that dies before the note would leave none.
        yield WriteJournal(flag, spent, why)
        # The time is read now. If this process was frozen after the listing, the work may have stopped much later.
        until = yield SettlesAt(flag, settlement_ms)
        yield Put(replace(flag, kind=Kind.RELEASED, credits=counts, ms=until), like=flag)
    yield Remove(flag)


def held_by(view: View, holders: str) -> list[Flag]:
    """Return the current holds; see :meth:`~.records.Flag.is_of`."""
    return [one.flag for one in view.counted.values() if one.flag.kind is Kind.HELD and one.flag.is_of(holders)]
