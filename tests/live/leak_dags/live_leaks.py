"""One task for each kind of failure; `tests/live/test_leaks.py` brings them about and looks for the key afterwards."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import BaseNotifier, dag, task

from airflow_provider_videodb.hooks.videodb import VideoDBHook
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

#: What the server of the test does with a POST.
POSTS = ("unauthorized", "forbidden", "unfunded", "unknown", "unprocessable", "broken", "redirected", "garbled")
#: What it does with the poll of a trigger.
POLLS = ("unauthorized", "broken", "garbled", "cut")
#: Connections that are wrong, and reads that fail before a response.
WRONG = ("untrusted", "slow", "bad_extra", "bad_field", "bad_json", "bad_uri", "userinfo", "schema")


class Report(BaseNotifier):
    """Writes what an error tracker would see: the exception with its chain, the task, and a message."""

    template_fields = ("message",)

    def __init__(self, message: str = "") -> None:
        super().__init__()
        self.message = message

    def notify(self, context) -> None:
        seen, error = [self.message, context["task"], vars(context["task"]), context["ti"]], context.get("exception")
        while error is not None:
            seen += [error, vars(error)]
            error = error.__cause__ or error.__context__
        path = Path(os.environ["AIRFLOW_HOME"], "reports", f"{context['ti'].task_id}.txt")
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as report:
            report.writelines(f"{thing}\n{thing!r}\n" for thing in seen)


class BrokenNotifier(BaseNotifier):
    """Fails, and its error has what it should have sent."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context) -> None:
        raise RuntimeError(self.message)


REPORTED = {"on_failure_callback": Report(), "retries": 0}
LINK = "{{ task.payment_url }}"


@dag(schedule=None, default_args=REPORTED)
def live_link() -> None:
    TopupOperator(
        task_id="waits",
        amount=20,
        payment_timeout=30,
        poll_interval=1,
        notifiers=[Report(LINK), BrokenNotifier(LINK)],
        videodb_conn_id="videodb_pays",
    )


@dag(schedule=None, default_args=REPORTED, max_active_tasks=50)
def live_leaks() -> None:
    for kind in POSTS:
        TopupOperator(task_id=f"post_{kind}", amount=20, videodb_conn_id=f"videodb_post_{kind}")
    for kind in POLLS:
        CreditThresholdSensor(
            task_id=f"poll_{kind}",
            threshold=100,
            poke_interval=1,
            max_consecutive_failures=2,
            start_from_trigger=True,
            videodb_conn_id=f"videodb_{kind}",
        )
    for kind in WRONG:
        CreditThresholdSensor(
            task_id=f"wrong_{kind}",
            threshold=100,
            mode="reschedule",
            deferrable=False,
            max_consecutive_failures=1,
            videodb_conn_id=f"videodb_{kind}",
        )
    TopupOperator(task_id="wrong_amount", amount="{{ 'a lot' }}", videodb_conn_id="videodb_pays")
    TopupOperator(task_id="limited", amount=30, videodb_conn_id="videodb_limited")
    TopupOperator(task_id="killed", amount=40, videodb_conn_id="videodb_pays")
    EnsureCreditsOperator(
        task_id="gate", credits=2, hold=VARIABLES_CAN_BE_LISTED, topup=False, videodb_conn_id="videodb_pays"
    )
    AutoRechargeOperator(task_id="recharge", enabled=True, threshold=5, amount=10, videodb_conn_id="videodb_broken")

    @task
    def job_refused() -> None:
        hook = VideoDBHook("videodb_unfunded")
        with hook.credit_shortage_as_error():
            hook.get_sdk().get_collection()

    job_refused()


live_link()
live_leaks()
