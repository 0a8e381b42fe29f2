"""Tasks that fail, each in the way its id says; `tests/live/test_log_page.py` brings that about."""

from airflow.sdk import dag

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor


@dag(schedule=None)
def live_wrong_key() -> None:
    EnsureCreditsOperator(task_id="fails", credits=100, videodb_conn_id="videodb_wrong_key")


@dag(schedule=None)
def live_limit() -> None:
    TopupOperator(task_id="fails", amount=20, videodb_conn_id="videodb_limited")


@dag(schedule=None)
def live_unknown_outcome() -> None:
    TopupOperator(task_id="fails", amount=20, videodb_conn_id="videodb_impatient")


@dag(schedule=None)
def live_payment_timeout() -> None:
    TopupOperator(task_id="fails", amount=20, payment_timeout=1, poll_interval=1)


@dag(schedule=None)
def live_away() -> None:
    CreditThresholdSensor(
        task_id="fails", threshold=100, poke_interval=1, max_consecutive_failures=2, videodb_conn_id="videodb_away"
    )


@dag(schedule=None)
def live_expired() -> None:
    TopupOperator(task_id="fails", amount=20, poll_interval=1)


@dag(schedule=None)
def live_gate_timeout() -> None:
    CreditThresholdSensor(task_id="fails", threshold=100, poke_interval=1, timeout=1)


live_wrong_key()
live_limit()
live_unknown_outcome()
live_payment_timeout()
live_away()
live_expired()
live_gate_timeout()
