"""Two pipelines that each need 12 credits of one account, and a gate that asks for an approval while it queues."""

import time
from pathlib import Path

from airflow.sdk import dag, task

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator


def hold_and_work() -> None:
    """Hold the credits until the file that the run names exists."""
    gate = EnsureCreditsOperator(task_id="credits", credits=12, hold=True, poll_interval=1, retries=2)

    @task(pre_execute=gate.require_hold())
    def job(dag_run=None) -> int:
        while not Path(dag_run.conf["until"]).exists():
            time.sleep(0.1)
        return 10

    with gate.held(spent="{{ ti.xcom_pull(task_ids='job') }}"):
        job()


@dag(schedule=None)
def live_hold_first() -> None:
    hold_and_work()


@dag(schedule=None)
def live_hold_second() -> None:
    hold_and_work()


@dag(schedule=None)
def live_approval_with_hold() -> None:
    EnsureCreditsOperator(task_id="credits", credits=53, approval=True, hold=True, poll_interval=1)


live_hold_first()
live_hold_second()
live_approval_with_hold()
