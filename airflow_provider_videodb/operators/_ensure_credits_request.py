"""The parsed arguments of an ``EnsureCreditsOperator``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.operators._purchase_run import PurchaseRequest, WaitRequest
from airflow_provider_videodb.purchases.rules.need import Need, dollars_for

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.hooks.arguments import HoldMode
    from airflow_provider_videodb.operators._credit_gate import GateCheck


@dataclass(frozen=True, kw_only=True)
class CreditsWaitRequest(WaitRequest):
    """
    The parsed arguments for an ``EnsureCreditsOperator``'s wait.

    :param settle_timeout: seconds.
    :param hold: is parsed only to be checked, as the next two are. The gate reads them from the task.
    """

    credits: Decimal
    settle_timeout: float
    hold: HoldMode
    respect_holds: bool
    priority: int


@dataclass(frozen=True, kw_only=True)
class EnsureCreditsRequest(PurchaseRequest, CreditsWaitRequest):
    """
    The parsed arguments of an ``EnsureCreditsOperator``.

    :param usd_per_credit: US dollars.
    :param min_amount: US dollars.
    """

    usd_per_credit: Decimal
    min_amount: int
    topup: bool

    def dollars_for(self, missing: Decimal) -> int:
        """Return what to buy, in whole US dollars."""
        if not missing:
            return 0
        return dollars_for(missing, usd_per_credit=self.usd_per_credit, min_amount=self.min_amount)

    def need_at(self, check: GateCheck) -> Need:
        """Return what the account needs for this gate."""
        return Need(amount=self.dollars_for(check.missing), balance=to_json_number(check.usage.credit_balance))
