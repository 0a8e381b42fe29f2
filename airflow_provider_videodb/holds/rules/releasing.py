"""Ends all holds of one gate."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.rules.records import Kind
from airflow_provider_videodb.holds.rules.steps import Remove, Step, release_flag, remove_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from airflow_provider_videodb.holds.rules.account import View
    from airflow_provider_videodb.holds.rules.records import Flag

#: Settled flags that one release removes at most, so that it takes no longer than it has to.
_REMOVED_AT_ONCE = 20


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
    Release all holds of a gate, and take it out of the queue.

    :param holders: see :meth:`~.records.Flag.is_of`.
    :param settlement_ms: how long the credits of a flag count after their release, in milliseconds.
    :param why: who releases.
    :param spent: credits that the jobs used. If there are several holds, nobody knows which one they used up. So this
        figure means nothing, and all credits count.
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
    # On an account where nobody ever waits, nobody collects.
    yield from remove_settled(view, at_most=_REMOVED_AT_ONCE)
    return Released(holds=tuple(holds), counted=counted)


def holds_of(flags: Iterable[Flag]) -> tuple[list[Flag], list[Flag]]:
    """
    Return the flag of each hold, the oldest first, and the surplus flags.

    A try that has several flags holds the largest, because that one counts.
    """
    tries: dict[tuple[str, str], list[Flag]] = defaultdict(list)
    for flag in flags:
        if flag.kind is Kind.HELD:
            tries[flag.owner].append(flag)
    largest_first = [sorted(group, key=lambda flag: flag.credits, reverse=True) for group in tries.values()]
    holds = sorted((group[0] for group in largest_first), key=lambda flag: (flag.ms, flag.key))
    return holds, [flag for group in largest_first for flag in group[1:]]
