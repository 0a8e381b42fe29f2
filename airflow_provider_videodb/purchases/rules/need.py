"""Fits a purchase to what the task needs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from airflow_provider_videodb.purchases.rules.purchase import Purchase, idempotency_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class Need:
    """
    What a task needs to buy at this moment.

    :param amount: whole US dollars; 0 if it needs nothing.
    :param balance: credits on the account.
    """

    amount: int
    balance: float | None


def dollars_for(shortfall: Decimal, *, usd_per_credit: Decimal, min_amount: int) -> int:
    """
    Return the whole US dollars for a shortfall.

    It is at least ``min_amount``.
    """
    return max(min_amount, math.ceil(shortfall * usd_per_credit))


def begin_purchase(after: Purchase | None, need: Need, *, identity: Sequence[str], currency: str | None) -> Purchase:
    """
    Begin the first or the next generation.

    :param after: the purchase so far.
    :param identity: what names the task instance in all its tries.
    """
    key = idempotency_key(*identity, 0 if after is None else after.generation + 1, need.amount)
    if after is not None:
        return after.next_generation(amount=need.amount, currency=currency, key=key, balance=need.balance)
    return Purchase(generation=0, amount=need.amount, currency=currency, key=key, balance_before=need.balance)


def with_current_amount(purchase: Purchase, need: Need, *, identity: Sequence[str]) -> Purchase:
    """
    Change the amount to what is needed now.

    VideoDB must not have made a checkout yet.
    """
    key = idempotency_key(*identity, purchase.generation, need.amount)
    return replace(purchase, amount=need.amount, key=key, balance_before=need.balance)
