"""
Make sure that the account has 120 credits before a heavy job, in one task.

`ensure_credits` continues at once if the balance is at least 120 credits. Otherwise it buys the missing credits, at one
US dollar a credit and for at least 10 US dollars. It shows the payment link on its page and waits, without a worker,
until the balance shows 120 credits.

`heavy_job` stands for the job that needs the credits.
"""

from airflow.sdk import dag, task

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator


@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def ensure_credits() -> None:
    """Make sure of the credits, then work."""
    enough = EnsureCreditsOperator(
        task_id="ensure_credits", credits=120, usd_per_credit=1, min_amount=10, poll_interval=5, retries=3
    )

    @task
    def heavy_job() -> None:
        """Spend the credits."""

    enough >> heavy_job()


ensure_credits()
