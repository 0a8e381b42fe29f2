"""Tasks that stand in Airflow's Required Actions."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator


@dag(schedule=None)
def live_asks_for_credits() -> None:
    EnsureCreditsOperator(task_id="fails", credits=103.5, poll_interval=1, retries=2, retry_delay=timedelta(seconds=1))


@dag(schedule=None)
def live_polls_rarely() -> None:
    TopupOperator(task_id="top_up", amount=20, poll_interval=600, retries=2, retry_delay=timedelta(seconds=1))


@dag(schedule=None)
def live_asks_twice() -> None:
    TopupOperator.partial(task_id="top_up", poll_interval=1).expand(amount=[21, 22])


live_asks_for_credits()
live_polls_rarely()
live_asks_twice()
