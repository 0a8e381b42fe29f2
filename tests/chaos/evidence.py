"""What was seen of a run of the distributed Airflow, for the verdict to judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a task instance ended."""

    task_id: str
    state: str | None
    tries: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """
    What was bought on one account.

    :param reported: the checkout that each top-up names as its own and paid, `None` if it names none.
    :param paid: the ids of the checkouts that VideoDB was paid.
    :param unpaid: how many others there are.
    """

    name: str
    reported: Sequence[str | None]
    paid: Collection[str]
    unpaid: int


@dataclass(frozen=True, kw_only=True)
class WorkerKill:
    """
    The end of a worker.

    :param tasks: task instances that ran on it.
    :param lost_answers: purchases that VideoDB carried out for them and whose answer had nobody to go to.
    """

    tasks: int
    lost_answers: int


@dataclass(frozen=True, kw_only=True)
class TriggererKill:
    """
    The end of a triggerer.

    :param waited: task instances that waited on it.
    :param taken_over: those of them that then waited on the other.
    """

    waited: int
    taken_over: int


@dataclass(frozen=True, kw_only=True)
class Outage:
    """
    A time in which VideoDB refused every connection.

    :param answered: calls that VideoDB answered in it all the same.
    :param waiting: task instances that waited in a triggerer when it began.
    """

    seconds: float
    answered: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class Window:
    """
    A time in which everything waited, so that all calls are the triggerers'.

    :param interval: seconds between polls, as the tasks ask for it.
    :param started: task instances that began to run on a worker in it.
    :param calls: when the calls of each stream arrived.
    """

    triggerers: int
    seconds: float
    interval: float
    started: int
    calls: Mapping[str, Sequence[datetime]]


@dataclass(kw_only=True)
class Evidence:
    """All of it."""

    expected: Mapping[str, int]
    ended: Sequence[Ended] = ()
    accounts: Sequence[Account] = ()
    worker_kill: WorkerKill | None = None
    triggerer_kill: TriggererKill | None = None
    outage: Outage | None = None
    windows: list[Window] = field(default_factory=list)
    listening: Collection[str] = ()
