"""DAGs for tests/live/test_auto_recharge.py."""

from datetime import timedelta

from airflow.sdk import dag, get_current_context, task

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor


@dag(schedule=None)
def live_recharge() -> None:
    on = AutoRechargeOperator(task_id="on", threshold=1, amount=10)
    back = AutoRechargeOperator(task_id="back", restore=on.output)

    @task
    def fails_at_first() -> None:
        if get_current_context()["ti"].try_number == 1:
            raise RuntimeError("the first try of the job failed")

    sibling = CreditThresholdSensor(task_id="sibling", threshold=100, poke_interval=1)
    on >> [fails_at_first(), sibling] >> back.as_teardown(setups=on)


@dag(schedule=None)
def live_recharge_back() -> None:
    on = AutoRechargeOperator(task_id="on", threshold=1, amount=10)
    back = AutoRechargeOperator(task_id="back", restore=on.output, retries=1, retry_delay=timedelta(seconds=1))
    on >> back.as_teardown(setups=on, on_failure_fail_dagrun=True)


live_recharge()
live_recharge_back()
