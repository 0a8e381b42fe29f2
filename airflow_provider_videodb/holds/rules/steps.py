"""
The steps of the protocol, which something else carries out.

The rules are generators. They yield one step at a time and are sent its result. So the tests can interleave several
gates at each step, and kill them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.holds.rules.records import Flag


@dataclass(frozen=True, slots=True)
class ListFlags:
    """List all flags of the account; the result is a :class:`~.account.View`."""


@dataclass(frozen=True, slots=True)
class ReadBalance:
    """Read the balance from VideoDB; the result is a number of credits."""


@dataclass(frozen=True, slots=True)
class SettlesAt:
    """
    Ask until when credits count that are released now; the result is in milliseconds since 1970.

    Connections of one account may name different settlement times. So this is the longer one of the given one and that
    of the holder's connection.

    :param settlement_ms: milliseconds.
    """

    flag: Flag
    settlement_ms: int


@dataclass(frozen=True, slots=True)
class Put:
    """
    Record a flag. The store has confirmed it when the step is done.

    :param like: the flag whose value describes the holder; ``None`` for the task itself.
    """

    flag: Flag
    like: Flag | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a flag, if it is there."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class IsOver:
    """
    Ask whether a holder has certainly ended.

    ``True`` for a held flag means that its DAG run has ended. For a waiting one, it also means that the task waits no
    more. ``False`` also means that nobody knows.
    """

    flag: Flag


@dataclass(frozen=True, slots=True)
class IsEarlier:
    """Ask whether a flag of this gate certainly belongs to an earlier try of it."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class IsUnused:
    """Ask whether the jobs behind an earlier try of this gate have certainly ended, or never began."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class WriteJournal:
    """
    Note a hold that has ended.

    :param spent: credits; ``None`` if nobody said.
    :param why: who released it.
    """

    flag: Flag
    spent: Decimal | None
    why: str


Step: TypeAlias = ListFlags | ReadBalance | SettlesAt | Put | Remove | IsOver | IsEarlier | IsUnused | WriteJournal
