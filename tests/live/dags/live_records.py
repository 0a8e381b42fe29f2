"""DAG for tests/live/test_unwritable_records.py."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.topup import TopupOperator


@dag(schedule=None)
def live_records() -> None:
    TopupOperator(task_id="top_up", amount=20, poll_interval=1, retries=30, retry_delay=timedelta(seconds=1))


live_records()
