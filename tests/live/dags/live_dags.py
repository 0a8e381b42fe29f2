"""DAGs for the tests in tests/live."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor


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
    CreditThresholdSensor.partial(task_id="gate", poke_interval=2).expand(threshold=list(range(10, 60)))


@dag(schedule=None, params={"needed": 10})
def live_without_a_worker() -> None:
    without_a_worker = {"start_from_trigger": True, "end_from_trigger": True, "poke_interval": 1}
    CreditThresholdSensor(task_id="filled", threshold="{{ params.needed }}", **without_a_worker)
    CreditThresholdSensor(task_id="too_late", threshold=1000, timeout=2, soft_fail=True, **without_a_worker)


@dag(schedule=None)
def live_gate() -> None:
    CreditThresholdSensor(
        task_id="gate",
        threshold="{{ dag_run.conf['threshold'] }}",
        videodb_conn_id="{{ dag_run.conf['account'] }}",
        poke_interval=1,
    )


live_gate()
live_top_up()
live_without_a_worker()
live_kills()
live_many_gates()
