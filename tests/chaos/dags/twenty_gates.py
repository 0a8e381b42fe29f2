"""Twenty pipelines that each need 75 credits of one account, all at once."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.chaos.scale import HELD_CREDITS, HOLDING_GATES, POLL_SECONDS


@dag(
    schedule=None,
    max_active_tasks=HOLDING_GATES,
    default_args={"retries": 12, "retry_delay": timedelta(seconds=3)},
)
def twenty_gates() -> None:
    """Hold credits for as long as the run is active."""
    CreditThresholdSensor.partial(
        task_id="gate", videodb_conn_id="videodb_shared", poke_interval=POLL_SECONDS, hold=True
    ).expand(threshold=[HELD_CREDITS] * HOLDING_GATES)


twenty_gates()
