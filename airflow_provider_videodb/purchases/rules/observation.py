"""Holds what a try knows when it decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy
from airflow_provider_videodb.purchases.rules.approval_record import Approval
from airflow_provider_videodb.purchases.rules.limits import SpendLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from airflow_provider_videodb.api.models import Checkout


@dataclass(frozen=True, kw_only=True)
class Observation:
    """
    What a try knows when it decides.

    :param amount: US dollars that the task needs now; 0 if it no longer needs anything.
    :param checkouts: VideoDB's list, read at ``now`` or later.
    :param now: by our clock.
    :param quiet_for: how long no POST of this task can have been in flight. Negative while one still can.
    :param expired_for: how long this try has seen VideoDB call the checkout expired; ``None`` if it does not.
    :param account: fingerprint of the account that was asked.
    :param currency: the currency of a new checkout; ``None`` leaves it to VideoDB.
    :param seen: candidates that earlier polls of this try have listed, by id.
    :param claimed_by_others: the :func:`candidates` that other tasks have claimed.
    :param reprices: whether another amount may follow a POST that led to nothing.
    :param policy: which purchases a person has to approve.
    :param approval: what a person approved.
    """

    amount: int
    checkouts: Sequence[Checkout]
    now: datetime
    quiet_for: timedelta
    expired_for: timedelta | None = None
    account: str | None = None
    currency: str | None = None
    limits: SpendLimits = field(default_factory=SpendLimits)
    seen: Mapping[str, Checkout] = field(default_factory=dict)
    claimed_by_others: Collection[str] = ()
    reprices: bool = False
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    approval: Approval = field(default_factory=Approval)

    @property
    def listed(self) -> Mapping[str, Checkout]:
        """The list by id."""
        return by_id(self.checkouts)
