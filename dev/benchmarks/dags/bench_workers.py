"""The same wait in four ways, for `benchmarks.workers`. Each DAG has one task, which waits for credits."""

from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import Connection, dag

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

POKE_INTERVAL = 5
THRESHOLD = 100


@dag(schedule=None)
def bench_ours() -> None:
    """Take one worker to start and one to end."""
    CreditThresholdSensor(task_id="wait", threshold=THRESHOLD, poke_interval=POKE_INTERVAL)


@dag(schedule=None)
def bench_ours_without_a_worker() -> None:
    """Take none at all."""
    CreditThresholdSensor(
        task_id="wait",
        threshold=THRESHOLD,
        poke_interval=POKE_INTERVAL,
        start_from_trigger=True,
        end_from_trigger=True,
    )


@dag(schedule=None)
def bench_http() -> None:
    """Wait for what HttpSensor can wait for, a 404 to end."""
    HttpSensor(task_id="wait", endpoint="billing/usage", poke_interval=POKE_INTERVAL, deferrable=True)


@dag(schedule=None)
def bench_python() -> None:
    """Take a worker for every poke."""

    def enough_credits() -> bool:
        import requests

        account = Connection.get("videodb_default")
        answer = requests.get(f"{account.host}/billing/usage", headers={"x-access-token": account.password}, timeout=30)
        answer.raise_for_status()
        return bool(answer.json()["credit_balance"] >= THRESHOLD)

    PythonSensor(task_id="wait", python_callable=enough_credits, poke_interval=POKE_INTERVAL, mode="reschedule")


bench_ours()
bench_ours_without_a_worker()
bench_http()
bench_python()
