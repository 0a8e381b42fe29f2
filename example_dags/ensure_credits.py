"""
Make sure of 120 credits before a heavy job, in one task.

`ensure_credits` goes on at once if the balance is 120 credits or more. Otherwise it buys what is missing, at one dollar
a credit, for 10 dollars at least, shows the payment link on its page, and waits, without a worker, until the balance
shows 120 credits.

`heavy_job` stands for what needs them.
"""

from airflow.sdk import dag, task

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator


@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def ensure_credits() -> None:
    """Make sure of the credits, then work."""
    enough = EnsureCreditsOperator(
        task_id="ensure_credits", credits=120, usd_per_credit=1, min_amount=10, poll_interval=5
    )

    @task
    def heavy_job() -> None:
        """Do what needs the credits."""

    enough >> heavy_job()


ensure_credits()
