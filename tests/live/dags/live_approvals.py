"""DAGs for tests/live/test_approvals.py."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator


@dag(schedule=None)
def live_approval() -> None:
    EnsureCreditsOperator(
        task_id="credits", credits=53, approval=True, poll_interval=1, retries=2, retry_delay=timedelta(seconds=1)
    )


@dag(schedule=None)
def live_approvers() -> None:
    TopupOperator(task_id="top_up", amount=50, approval=True, approvers=["op"], poll_interval=1)


@dag(schedule=None)
def live_approval_timeout() -> None:
    TopupOperator(task_id="top_up", amount=50, approval=True, payment_timeout=3, poll_interval=1)


live_approval()
live_approvers()
live_approval_timeout()
