"""
What a DAG author's type checker accepts and what it rejects. `make lint` checks this file; nothing runs it.

A line with an ignore must be an error, because mypy reports an ignore that nothing needs.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, assert_type

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.models import Checkout, Usage
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.hooks.videodb import VideoDBHook
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, XComArg


def literals(notifier: BaseNotifier) -> None:
    TopupOperator(task_id="a", amount=50)
    TopupOperator(
        task_id="b",
        amount="{{ params.amount }}",
        only_if_below=12.5,
        wait_for_payment=False,
        currency="usd",
        redirect_url="https://example.com",
        payment_timeout=timedelta(hours=1),
        poll_interval=5,
        max_amount=60,
        notifiers=[notifier],
        deferrable=False,
        videodb_conn_id="videodb_default",
        retries=2,
    )
    EnsureCreditsOperator(
        task_id="c", credits=Decimal("100.5"), usd_per_credit="0.015", min_amount=10, topup=True, settle_timeout=60.0
    )
    EnsureCreditsOperator(task_id="f", credits=5, poll_interval=timedelta(seconds=30))
    EnsureCreditsOperator(task_id="g", credits=5, hold=True, priority=-1)
    EnsureCreditsOperator(task_id="h", credits=5, hold="audit", respect_holds=False)
    AutoRechargeOperator(task_id="d", enabled=False, threshold=5, amount=Decimal(50))
    AutoRechargeOperator(task_id="e", restore={"before": {"enabled": False, "threshold": 5, "amount": 25}})


def outputs_of_other_tasks(value: XComArg) -> None:
    TopupOperator(task_id="a", amount=value, only_if_below=value, max_amount=value, currency=value, redirect_url=value)
    EnsureCreditsOperator(task_id="b", credits=value, usd_per_credit=value, min_amount=value, videodb_conn_id=value)
    on = AutoRechargeOperator(task_id="c", threshold=value, amount=value)
    back = AutoRechargeOperator(task_id="d", restore=on.output)
    assert_type(back.as_teardown(setups=on, on_failure_fail_dagrun=True), AutoRechargeOperator)


def holds(value: XComArg) -> None:
    gate = CreditThresholdSensor(task_id="a", threshold=120, hold=True)
    assert_type(gate.held(), ReleaseCreditsOperator)
    with gate.held(spent="{{ params.spent }}", retries=1):
        TopupOperator(task_id="b", amount=50, pre_execute=gate.require_hold())
    audit = EnsureCreditsOperator(task_id="c", credits=5, hold="audit")
    with audit.held(spent=value):
        pass
    release = ReleaseCreditsOperator(task_id="d", gate="a", spent=Decimal("1.5"))
    assert_type(release.as_teardown(setups=gate), ReleaseCreditsOperator)
    mapped = CreditThresholdSensor.partial(task_id="e", hold=True).expand(threshold=[1, 2])
    ReleaseCreditsOperator(task_id="f", gate=mapped)
    ReleaseCreditsOperator(task_id="g", gate=gate, spent=None)
    ReleaseCreditsOperator(task_id="h", gate=gate.output, spent=value)


def mistakes(notifier: BaseNotifier) -> None:
    TopupOperator(task_id="a")  # type: ignore[call-arg]  # no amount
    TopupOperator(task_id="b", amount=12.5)  # type: ignore[arg-type]  # whole dollars
    TopupOperator(task_id="c", amount=50, max_amount=None)  # type: ignore[arg-type]  # an empty limit is none
    TopupOperator(task_id="d", amount=50, only_if_below=None)  # type: ignore[arg-type]  # nor is an empty floor
    TopupOperator(task_id="e", amount=50, notifiers=notifier)  # type: ignore[arg-type]  # a list
    TopupOperator(task_id="f", amount=50, deferrable="False")  # type: ignore[arg-type]  # a word is true
    EnsureCreditsOperator(task_id="g", credits=None)  # type: ignore[arg-type]
    EnsureCreditsOperator(task_id="k", credits=5, hold="yes")  # type: ignore[arg-type]  # or "audit"
    EnsureCreditsOperator(task_id="l", credits=5, priority=1.5)  # type: ignore[arg-type]
    AutoRechargeOperator(task_id="h", threshold=None)  # type: ignore[arg-type]
    AutoRechargeOperator(task_id="i", restore=None)  # type: ignore[arg-type]
    ReleaseCreditsOperator(task_id="k")  # type: ignore[call-arg]  # no gate
    ReleaseCreditsOperator(task_id="l", gate=5)  # type: ignore[arg-type]
    ReleaseCreditsOperator(task_id="m", gate="a", spent=[5])  # type: ignore[arg-type]  # not a sum
    AutoRechargeOperator(task_id="j", enabled=1.5)  # type: ignore[arg-type]


def hooks() -> None:
    hook = VideoDBBillingHook("videodb_default")
    assert_type(hook.get_usage(), Usage)
    assert_type(hook.topup(5, currency="usd", redirect_url="https://example.com"), Checkout)
    assert_type(hook.list_checkouts(limit=3), list[Checkout])
    assert_type(hook.get_conn(), BillingClient)
    assert_type(VideoDBHook(videodb_conn_id="videodb_default").test_connection(), tuple[bool, str])
    with hook.credit_shortage_as_error():
        hook.get_sdk().get_collection()
    hook.topup(5.5)  # type: ignore[arg-type]  # whole dollars
    hook.create_checkout(5, mode="gift")  # type: ignore[arg-type]
