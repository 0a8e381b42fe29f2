"""DAGs for the tests in tests/live."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.billing import TopupOperator
from airflow_provider_videodb.sensors.billing import CreditThresholdSensor


@dag(schedule=None)
def live_top_up() -> None:
    TopupOperator(task_id="top_up", amount=20, poll_interval=1, retries=2, retry_delay=timedelta(seconds=1))


@dag(schedule=None)
def live_kills() -> None:
    TopupOperator(
        task_id="top_up",
        amount="{{ dag_run.conf['amount'] }}",
        poll_interval=1,
        retries=6,
        retry_delay=timedelta(seconds=1),
    )


@dag(schedule=None, max_active_tasks=50)
def live_many_gates() -> None:
    CreditThresholdSensor.partial(task_id="gate", poke_interval=2).expand(threshold=list(range(10, 30)))


live_top_up()
live_kills()
live_many_gates()
