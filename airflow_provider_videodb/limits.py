"""Spending limits, in US dollars: which there are, and whether a purchase is within them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pendulum

from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.models import Checkout, CheckoutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONNECTION_OWNER = "Whoever owns the connection can raise it in the connection's extra."
_DAG_AUTHOR = "The author of the DAG can raise it in the task's arguments."


@dataclass(frozen=True, kw_only=True)
class SpendLimits:
    """
    What may be spent. ``None`` is no limit.

    :param max_topup_amount: dollars of one purchase, from the connection.
    :param monthly_topup_limit: dollars of all purchases of the account in a calendar month (UTC), from the connection.
    :param max_amount: dollars of one purchase, from the task. The tighter of the two holds.
    """

    max_topup_amount: Decimal | None = None
    monthly_topup_limit: Decimal | None = None
    max_amount: Decimal | int | None = None


def check_limits(amount: int, limits: SpendLimits, *, checkouts: Iterable[Checkout], now: datetime) -> None:
    """
    Refuse a purchase that would break a limit.

    :param amount: dollars about to be spent.
    :param checkouts: the account's checkouts; only the monthly limit looks at them.
    :raises VideoDBLimitExceededError: naming the limit, what counts towards it and who can change it.
    """
    for name, limit, who in (
        ("max_topup_amount", limits.max_topup_amount, _CONNECTION_OWNER),
        ("max_amount", limits.max_amount, _DAG_AUTHOR),
    ):
        if limit is not None and amount > limit:
            raise VideoDBLimitExceededError(
                f"A top-up of {amount} USD is over {name}, which allows {limit} USD in one purchase. "
                f"Nothing was bought. {who}"
            )
    if limits.monthly_topup_limit is None:
        return
    counted = [checkout for checkout in checkouts if _counts_this_month(checkout, now)]
    spent = sum((checkout.amount or Decimal(0) for checkout in counted), Decimal(0))
    if spent + amount > limits.monthly_topup_limit:
        raise VideoDBLimitExceededError(
            f"A top-up of {amount} USD is over monthly_topup_limit, which allows {limits.monthly_topup_limit} USD in "
            f"{now.astimezone(UTC):%Y-%m} (UTC): {len(counted)} checkouts over {spent} USD, paid or still payable, "
            f"count already. Nothing was bought. {_CONNECTION_OWNER}"
        )


def _counts_this_month(checkout: Checkout, now: datetime) -> bool:
    """Count what was paid, can still be paid, or is in a state we do not know."""
    if checkout.status == CheckoutStatus.EXPIRED or checkout.created_at is None:
        return False
    month = pendulum.instance(now).in_timezone("UTC")
    return month.start_of("month") <= checkout.created_at <= month.end_of("month")
