"""
Pins the name of each argument that a user can give. `make lint` checks this file; nothing runs it.

An operator passes what it does not know on to Airflow, so mypy accepts any name. But a wrong type is an error only for
an argument that exists. If one is renamed or removed, mypy therefore reports that its line here needs no ignore.
`tests/packaging/test_typing.py` reports a new argument that has no line.
"""

from __future__ import annotations

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.assets.credits import credits_back, credits_low
from airflow_provider_videodb.emulator.server import Emulator
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.hooks.videodb import VideoDBHook
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.release_credits import ReleaseCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.policies.retry import VideoDBRetryPolicy
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor


class Wrong:
    """A value of a type that no argument has."""


def operators(x: Wrong) -> None:
    TopupOperator(
        task_id="a",
        amount=x,  # type: ignore[arg-type]
        only_if_below=x,  # type: ignore[arg-type]
        wait_for_payment=x,  # type: ignore[arg-type]
        currency=x,  # type: ignore[arg-type]
        redirect_url=x,  # type: ignore[arg-type]
        payment_timeout=x,  # type: ignore[arg-type]
        poll_interval=x,  # type: ignore[arg-type]
        max_amount=x,  # type: ignore[arg-type]
        approval=x,  # type: ignore[arg-type]
        approval_above=x,  # type: ignore[arg-type]
        approvers=x,  # type: ignore[arg-type]
        notifiers=x,  # type: ignore[arg-type]
        remind_every=x,  # type: ignore[arg-type]
        deferrable=x,  # type: ignore[arg-type]
        videodb_conn_id=x,  # type: ignore[arg-type]
    )
    EnsureCreditsOperator(
        task_id="b",
        credits=x,  # type: ignore[arg-type]
        usd_per_credit=x,  # type: ignore[arg-type]
        min_amount=x,  # type: ignore[arg-type]
        topup=x,  # type: ignore[arg-type]
        settle_timeout=x,  # type: ignore[arg-type]
        currency=x,  # type: ignore[arg-type]
        redirect_url=x,  # type: ignore[arg-type]
        payment_timeout=x,  # type: ignore[arg-type]
        poll_interval=x,  # type: ignore[arg-type]
        max_amount=x,  # type: ignore[arg-type]
        approval=x,  # type: ignore[arg-type]
        approval_above=x,  # type: ignore[arg-type]
        approvers=x,  # type: ignore[arg-type]
        notifiers=x,  # type: ignore[arg-type]
        remind_every=x,  # type: ignore[arg-type]
        deferrable=x,  # type: ignore[arg-type]
        videodb_conn_id=x,  # type: ignore[arg-type]
        hold=x,  # type: ignore[arg-type]
        respect_holds=x,  # type: ignore[arg-type]
        priority=x,  # type: ignore[arg-type]
    )
    AutoRechargeOperator(
        task_id="c",
        enabled=x,  # type: ignore[arg-type]
        threshold=x,  # type: ignore[arg-type]
        amount=x,  # type: ignore[arg-type]
        restore=x,  # type: ignore[arg-type]
        videodb_conn_id=x,  # type: ignore[arg-type]
    )
    ReleaseCreditsOperator(
        task_id="d",
        gate=x,  # type: ignore[arg-type]
        spent=x,  # type: ignore[arg-type]
    )


def sensors(x: Wrong) -> None:
    CreditThresholdSensor(
        task_id="a",
        threshold=x,  # type: ignore[arg-type]
        videodb_conn_id=x,  # type: ignore[arg-type]
        poke_interval=x,  # type: ignore[arg-type]
        timeout=x,  # type: ignore[arg-type]
        soft_fail=x,  # type: ignore[arg-type]
        mode=x,  # type: ignore[arg-type]
        exponential_backoff=x,  # type: ignore[arg-type]
        silent_fail=x,  # type: ignore[arg-type]
        never_fail=x,  # type: ignore[arg-type]
        max_consecutive_failures=x,  # type: ignore[arg-type]
        deferrable=x,  # type: ignore[arg-type]
        start_from_trigger=x,  # type: ignore[arg-type]
        end_from_trigger=x,  # type: ignore[arg-type]
        hold=x,  # type: ignore[arg-type]
        respect_holds=x,  # type: ignore[arg-type]
        priority=x,  # type: ignore[arg-type]
    )


def assets(x: Wrong) -> None:
    credits_low(
        below=x,  # type: ignore[arg-type]
        warn_hours=x,  # type: ignore[arg-type]
        back_at=x,  # type: ignore[arg-type]
        videodb_conn_id=x,  # type: ignore[arg-type]
        poll_interval=x,  # type: ignore[arg-type]
    )
    credits_back(
        below=x,  # type: ignore[arg-type]
        back_at=x,  # type: ignore[arg-type]
        videodb_conn_id=x,  # type: ignore[arg-type]
        poll_interval=x,  # type: ignore[arg-type]
    )


def hooks(x: Wrong) -> None:
    VideoDBHook(
        videodb_conn_id=x,  # type: ignore[arg-type]
    )
    VideoDBBillingHook(
        videodb_conn_id=x,  # type: ignore[arg-type]
    )


def policies(x: Wrong) -> None:
    VideoDBRetryPolicy(
        credits_delay=x,  # type: ignore[arg-type]
    )


def outside_airflow(x: Wrong) -> None:
    BillingClient(
        api_key=x,  # type: ignore[arg-type]
        base_url=x,  # type: ignore[arg-type]
        timeout=x,  # type: ignore[arg-type]
        max_retries=x,  # type: ignore[arg-type]
    )
    Emulator(
        port=x,  # type: ignore[arg-type]
        api_key=x,  # type: ignore[arg-type]
        credits=x,  # type: ignore[arg-type]
        dialect=x,  # type: ignore[arg-type]
        credits_per_dollar=x,  # type: ignore[arg-type]
        checkout_ttl=x,  # type: ignore[arg-type]
        pay_after=x,  # type: ignore[arg-type]
        usage_lag=x,  # type: ignore[arg-type]
        list_lag=x,  # type: ignore[arg-type]
        stored_card=x,  # type: ignore[arg-type]
        charge_stored_card=x,  # type: ignore[arg-type]
        idempotency=x,  # type: ignore[arg-type]
        price_index=x,  # type: ignore[arg-type]
        price_speech_minute=x,  # type: ignore[arg-type]
        price_scene=x,  # type: ignore[arg-type]
        index_duration=x,  # type: ignore[arg-type]
        upload_duration=x,  # type: ignore[arg-type]
        response_ttl=x,  # type: ignore[arg-type]
        on_shortage=x,  # type: ignore[arg-type]
        allowed_hosts=x,  # type: ignore[arg-type]
        callback_hosts=x,  # type: ignore[arg-type]
    )
