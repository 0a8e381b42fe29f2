"""A task instance that buys, as the people see it who pay for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_videodb.exceptions import VideoDBError
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker
    from tests.support.market.process import Process


class Kind(StrEnum):
    """Which operator a task is."""

    TOPUP = "TopupOperator"
    ENSURE = "EnsureCreditsOperator"


@dataclass
class Task:
    """
    What outlives the processes of a task instance.

    :param amount: dollars that it asks for, or credits that it needs.
    """

    name: str
    kind: Kind
    amount: int
    #: Ids of the checkouts whose links a person has seen.
    links: list[str] = field(default_factory=list)
    #: What it has reported as paid, its own first.
    reported: tuple[str, ...] = ()
    #: Why its last try failed.
    error: VideoDBError | None = None
    #: The process of its newest try.
    process: Process | None = None
    #: What it waits for in the triggerer.
    waits_for: Purchase | None = None
    watch: PaymentTracker | None = None
    #: What its trigger has seen to be paid.
    seen_paid: frozenset[str] = frozenset()
    #: It ended with "cannot be told", and nobody has resolved it since.
    asks: bool = False
    #: Somebody has responded, and with that written off what else the task may have made.
    resolved: bool = False
