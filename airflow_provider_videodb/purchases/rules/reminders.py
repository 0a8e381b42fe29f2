"""Decides when people are reminded of a payment. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


def next_reminder(purchase: Purchase, *, remind_every: float | None, now: float) -> float | None:
    """
    Return when the next reminder is due, or ``None``.

    It is in seconds since 1970. The time counts from the last reminder of any try, or from the request for the link.

    :param remind_every: seconds.
    :param now: seconds since 1970. A record that names no moment counts from now on.
    """
    if remind_every is None:
        return None
    known = purchase.reminded_at or (purchase.posts[-1] if purchase.posts else None)
    since = now if known is None else datetime.fromisoformat(known).timestamp()
    # The clock of the worker that recorded it may have been ahead. That must not delay the reminder further.
    return min(since, now) + remind_every
