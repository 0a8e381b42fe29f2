"""DAGs for tests/live/test_credits_page.py, with a connection that no limit keeps from buying."""

from datetime import timedelta

from airflow.sdk import dag

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

COMMON = {"videodb_conn_id": "videodb_people", "poll_interval": 1, "payment_timeout": timedelta(hours=6)}


class OurTopupOperator(TopupOperator):
    """A team's class has another name."""


@dag(schedule=None)
def live_page_approval() -> None:
    OurTopupOperator.partial(task_id="top_up", approval=True, **COMMON).expand(amount=[15])


@dag(schedule=None)
def live_page_gate_asks() -> None:
    EnsureCreditsOperator(task_id="credits", credits=40, approval=True, hold=VARIABLES_CAN_BE_LISTED, **COMMON)


@dag(schedule=None)
def live_page_gate_pays() -> None:
    EnsureCreditsOperator(task_id="credits", credits=30, hold=VARIABLES_CAN_BE_LISTED, **COMMON)


@dag(schedule=None)
def live_page_gate_waits() -> None:
    CreditThresholdSensor(
        task_id="credits",
        threshold=1,
        hold=VARIABLES_CAN_BE_LISTED,
        videodb_conn_id="videodb_people",
        poke_interval=1,
        timeout=21600,
    )


live_page_approval()
live_page_gate_asks()
live_page_gate_pays()
live_page_gate_waits()
