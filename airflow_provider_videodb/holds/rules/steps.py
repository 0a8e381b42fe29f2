"""
The steps of the protocol.

The rules are generators. They yield one step at a time and receive its result. So the tests can interleave several
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
    """List all flags of the account, as a :class:`~.account.View`."""


@dataclass(frozen=True, slots=True)
class ReadBalance:
    """Read the balance from VideoDB, in credits."""


@dataclass(frozen=True, slots=True)
class SettlesAt:
    """
    Ask until when credits released now count as held.

    Connections of one account may have different settlement times. The longer one counts: the given one, or that of
    the holder's connection. The result is in milliseconds since 1970.

    :param settlement_ms: milliseconds.
    """

    flag: Flag
    settlement_ms: int


@dataclass(frozen=True, slots=True)
class Put:
    """
    Record a flag, and wait until the store confirms it.

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

    ``True`` for a held flag means that its DAG run has ended. For a waiting one, it also means that the task no
    longer waits. ``False`` may also mean that Airflow does not say.
    """

    flag: Flag


@dataclass(frozen=True, slots=True)
class IsEarlier:
    """Ask whether a flag certainly belongs to an earlier try."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class IsUnused:
    """Ask whether certainly no job uses an earlier try's hold."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class WriteJournal:
    """
    Note a hold that has ended.

    :param spent: credits; ``None`` if unknown.
    :param why: who released it.
    """

    flag: Flag
    spent: Decimal | None
    why: str


Step: TypeAlias = ListFlags | ReadBalance | SettlesAt | Put | Remove | IsOver | IsEarlier | IsUnused | WriteJournal
