"""What a try sees of a purchase that was asked for at noon."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.purchases.rules.candidates import LIST_LAG
from airflow_provider_videodb.purchases.rules.decide import Fail
from airflow_provider_videodb.purchases.rules.limits import SpendLimits
from airflow_provider_videodb.purchases.rules.observation import Observation
from tests.support.checkouts import after

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Checkout

MONTHLY = SpendLimits(monthly_topup_limit=Decimal(60))


def seen(*checkouts: Checkout, **rest: Any) -> Observation:
    """Return an observation a minute after noon, when the list lags no more and an expiry was seen before."""
    no_lag = {"quiet_for": timedelta(seconds=60), "expired_for": LIST_LAG}
    return Observation(**{"amount": 50, "checkouts": checkouts, "now": after(60)} | no_lag | rest)


def just_sent(*checkouts: Checkout, seconds: float = 0, **rest: Any) -> Observation:
    """Return an observation some seconds after the POST."""
    return seen(*checkouts, now=after(seconds), quiet_for=timedelta(seconds=seconds), **rest)


def error_of(action: object, error: type[Exception]) -> str:
    assert isinstance(action, Fail)
    assert type(action.error) is error
    return str(action.error)
