"""Purchases of tasks that do not wait: one before its retry, one with an unknown outcome."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.topup import TopupOperator

COMMON = {"videodb_conn_id": "videodb_unpaid", "poll_interval": 1, "retries": 1}


@dag(schedule=None)
def live_unpaid_late() -> None:
    TopupOperator(
        task_id="top_up",
        amount=30,
        payment_timeout=timedelta(seconds=2),
        retry_delay=timedelta(hours=1),
        **COMMON,
    )


@dag(schedule=None)
def live_unpaid_unknown() -> None:
    TopupOperator(task_id="top_up", amount=40, retry_delay=timedelta(seconds=1), **COMMON)


live_unpaid_late()
live_unpaid_unknown()
