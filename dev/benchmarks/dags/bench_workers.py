"""Four ways to wait for credits."""

import requests
from airflow.providers.http.sensors.http import HttpSensor
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.sdk import Connection, dag

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

POKE_INTERVAL = 5
THRESHOLD = 100


@dag(schedule=None)
def bench_ours() -> None:
    """Start and end the wait in a worker."""
    CreditThresholdSensor(task_id="wait", threshold=THRESHOLD, poke_interval=POKE_INTERVAL)


@dag(schedule=None)
def bench_ours_without_a_worker() -> None:
    """Start and end the wait in the triggerer."""
    CreditThresholdSensor(
        task_id="wait",
        threshold=THRESHOLD,
        poke_interval=POKE_INTERVAL,
        start_from_trigger=True,
        end_from_trigger=True,
    )


@dag(schedule=None)
def bench_http() -> None:
    """Wait for the end of a 404."""
    HttpSensor(task_id="wait", endpoint="billing/usage", poke_interval=POKE_INTERVAL, deferrable=True)


def enough_credits() -> bool:
    """Read the balance."""
    account = Connection.get("videodb_default")
    response = requests.get(f"{account.host}/billing/usage", headers={"x-access-token": account.password}, timeout=30)
    response.raise_for_status()
    return bool(response.json()["credit_balance"] >= THRESHOLD)


@dag(schedule=None)
def bench_python() -> None:
    """Poke in a worker and free it between pokes."""
    PythonSensor(task_id="wait", python_callable=enough_credits, poke_interval=POKE_INTERVAL, mode="reschedule")


bench_ours()
bench_ours_without_a_worker()
bench_http()
bench_python()
