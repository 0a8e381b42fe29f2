"""
Buy credits for 50 US dollars, and send the payment link to a person.

`top_up` creates one checkout and passes its link to a notifier. It then waits, without a worker, until the checkout is
paid. A retry waits for the same checkout and does not notify again.

`report` prints what was bought, and the balance before and after.

`LogTheLink` stands for the notifier of your company. Any Airflow notifier works, for example `SlackNotifier` of the
Slack provider with `text="Please pay: {{ task.payment_url }}"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, dag, task

from airflow_provider_videodb.operators.topup import TopupOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class LogTheLink(BaseNotifier):
    """Writes a message to the task's log."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Log the message."""
        self.log.info(self.message)


@dag(schedule=None, tags=["videodb"], doc_md=__doc__)
def top_up_and_notify() -> None:
    """Top up, notify, report."""
    top_up = TopupOperator(
        task_id="top_up",
        amount=50,
        poll_interval=5,
        notifiers=[LogTheLink("Please pay for the credits of {{ dag.dag_id }}: {{ task.payment_url }}")],
    )

    @task
    def report(bought: dict[str, Any]) -> str:
        """Print what was bought."""
        line = "Paid {amount} USD: the balance was {balance_before} and is {balance_after} credits.".format(**bought)
        print(line)  # noqa: T201 - a task's output is its log
        return line

    report(top_up.output)


top_up_and_notify()
