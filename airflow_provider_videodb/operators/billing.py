"""The three operators under one path."""

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator

__all__ = ["AutoRechargeOperator", "EnsureCreditsOperator", "TopupOperator"]
