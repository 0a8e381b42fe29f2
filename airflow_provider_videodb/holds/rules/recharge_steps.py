"""The steps of a pair that shares automatic recharge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import AutoRecharge
    from airflow_provider_videodb.holds.rules.recharge import Holder, RechargeFlag


@dataclass(frozen=True, slots=True)
class ListFlags:
    """List the account's flags, as a :class:`~.recharge.RechargeView`."""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Read the settings from VideoDB, as an ``AutoRecharge``."""


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """
    Write the settings to VideoDB.

    :param is_undo: whether this try may no longer act, and undoes its own write.
    """

    settings: AutoRecharge
    is_undo: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Record a flag, and wait until the store confirms it."""

    flag: RechargeFlag


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a flag, if it is there."""

    flag: RechargeFlag


@dataclass(frozen=True, slots=True)
class IsOver:
    """Ask whether a try's DAG run has certainly ended."""

    owner: Holder


@dataclass(frozen=True, slots=True)
class KeepNote:
    """Note the settings found and those asked for."""

    before: AutoRecharge
    after: AutoRecharge


Step: TypeAlias = ListFlags | ReadSettings | WriteSettings | Put | Remove | IsOver | KeepNote


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """
    The note of a setup without flags.

    An older version of this package wrote it.

    :param before: the settings before the first write.
    :param after: the settings that the setup asked for.
    """

    before: AutoRecharge
    after: AutoRecharge


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """
    How a setup or a teardown ended.

    :param found: the settings that the last pipeline restores; ``None`` if no task has changed any.
    :param first: the settings as this task first read them.
    :param current: the settings now.
    :param changed_by_person: settings that a person has made meanwhile; ``None`` if there are none.
    :param others: how many other pipelines need automatic recharge.
    :param is_over: whether the teardown of this setup has run meanwhile. Then nothing of this setup is left.
    """

    found: AutoRecharge | None
    first: AutoRecharge
    current: AutoRecharge
    changed_by_person: AutoRecharge | None = None
    others: int = 0
    is_over: bool = False
