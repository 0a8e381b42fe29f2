"""
Ask for a top-up before anything stops.

`credits_watch` starts when the balance falls below 200 credits. It starts earlier if, at the current rate, the account
would reach that threshold within 24 hours. `describe` prints why the DAG was started. `fill_up` buys what is missing to
500 credits, shows the payment link on its page, and passes it to a notifier. It then waits, without a worker, until the
balance shows 500 credits. If somebody has filled the account meanwhile, it buys nothing.

`credits_are_back` starts when the balance was below the threshold and reaches 220 credits again.

`LogTheLink` stands for your company's notifier.

Airflow creates `credits_watch` paused, because it buys without asking. The watcher starts when you unpause the DAG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, dag, task

from airflow_provider_videodb.assets.credits import credits_back, credits_low
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

THRESHOLD = 200
FULL = 500


class LogTheLink(BaseNotifier):
    """Writes a message to the task's log."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Log the message."""
        self.log.info(self.message)


@task
def describe(triggering_asset_events: Any = None) -> list[str]:
    """Print why the DAG was started. There are two reasons if credits ran low during a warning."""
    payloads = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
    reasons = [
        "{level}: {balance} credits on {videodb_conn_id} at {at}. The threshold is {below}.".format(**payload)
        for payload in payloads
    ]
    print("\n".join(reasons) or "Started by hand.")  # noqa: T201 - a task's output is its log
    return reasons


# One run at a time. A second run finds the account filled, and buys nothing.
@dag(
    schedule=credits_low(below=THRESHOLD, warn_hours=24),
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=["videodb"],
    doc_md=__doc__,
)
def credits_watch() -> None:
    """Say why, then ask for the payment."""
    fill_up = EnsureCreditsOperator(
        task_id="fill_up",
        credits=FULL,
        usd_per_credit=1,
        min_amount=10,
        # The threshold is about the balance, so the task fills the balance too.
        respect_holds=False,
        notifiers=[LogTheLink("Credits are running low. Please pay: {{ task.payment_url }}")],
        retries=3,
    )
    describe() >> fill_up


@dag(schedule=credits_back(below=THRESHOLD), is_paused_upon_creation=True, tags=["videodb"], doc_md=__doc__)
def credits_are_back() -> None:
    """Say that work can continue."""
    describe()


credits_watch()
credits_are_back()
