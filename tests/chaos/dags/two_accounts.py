"""Gates and top-ups on two accounts."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.chaos.scale import AMOUNT, GATES, POLL_SECONDS, TOP_UPS, TOTAL


@dag(
    schedule=None,
    max_active_tasks=TOTAL,
    # A killed worker and half a minute without VideoDB cost a task several tries.
    default_args={"retries": 12, "retry_delay": timedelta(seconds=3)},
)
def two_accounts() -> None:
    """Buy on both accounts and wait for the credits."""
    # The top-ups start first, because the worker is killed while it runs them.
    TopupOperator.partial(
        task_id="top_up", videodb_conn_id="videodb_one", poll_interval=POLL_SECONDS, priority_weight=10
    ).expand(amount=[AMOUNT] * TOP_UPS)
    TopupOperator(
        task_id="other_top_up",
        videodb_conn_id="videodb_other",
        amount=AMOUNT,
        poll_interval=POLL_SECONDS,
        priority_weight=9,
    )
    # They open at the last payment. Half of them end in a worker, which is the default, and half in the triggerer.
    CreditThresholdSensor.partial(
        task_id="gate", videodb_conn_id="videodb_one", poke_interval=POLL_SECONDS, threshold=TOP_UPS * AMOUNT
    ).expand(end_from_trigger=[False, True] * (GATES // 2))
    CreditThresholdSensor(
        task_id="other_gate", videodb_conn_id="videodb_other", threshold=AMOUNT, poke_interval=POLL_SECONDS
    )


two_accounts()
