"""DAGs that the level of an account starts."""

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_videodb.assets.credits import credits_back, credits_low
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

LOW = {"below": 200, "back_at": 250, "warn_hours": None, "poll_interval": 1}


def reported(dag_id, schedule):
    """Define a DAG that returns the payloads of the events that started it."""

    @dag(dag_id=dag_id, schedule=schedule)
    def define():
        @task
        def report(triggering_asset_events=None):
            return [event.extra["payload"] for events in triggering_asset_events.values() for event in events]

        report()

    define()


reported("live_low", credits_low(**LOW))
reported("live_low_too", credits_low(**LOW))
reported("live_back", credits_back(below=200, back_at=250, poll_interval=timedelta(seconds=1)))
reported("live_soon", credits_low(below=50, warn_hours=1, poll_interval=1))


@dag(schedule=None)
def live_waits():
    CreditThresholdSensor(task_id="gate", threshold=1_000_000, poke_interval=1)


live_waits()
