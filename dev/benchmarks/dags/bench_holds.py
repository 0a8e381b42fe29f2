"""Two ways to let one pipeline after the other use the same credits."""

from airflow.sdk import dag, task

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

POLL_SECONDS = 5
#: More than half of what the account has, so that one pipeline fits at a time.
CREDITS = 600


@task
def job() -> None:
    """Stand for a job, which ends at once."""


@dag(schedule=None, max_active_runs=10)
def bench_holds() -> None:
    """Hold credits."""
    gate = CreditThresholdSensor(task_id="gate", threshold=CREDITS, poke_interval=POLL_SECONDS, hold=True)
    with gate.held(spent=0):
        job()


@dag(schedule=None, max_active_runs=10)
def bench_pool() -> None:
    """Take the only slot of a pool."""
    job.override(pool="bench_one_slot")()


bench_holds()
bench_pool()
