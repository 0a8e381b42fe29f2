"""
Two pipelines that share one account.

They never count on the same credits.

`shared_archive` needs 12 credits, `shared_highlights` needs 8. Start both at once, while the account has fewer than 20.

`credits` continues when enough credits are *available*: the balance less what the other pipeline holds. It then holds
its own credits. If credits are missing, it buys them, shows the payment link on its page, and waits without a worker.
So it may ask for a payment although the balance looks high enough, because the other pipeline holds the rest.

`upload` and `index` stand for jobs that spend credits at VideoDB. `require_hold()` fails a job that is cleared without
its gate, because that job could spend the credits of the other pipeline. `index` returns the credits that both used.

`credits_release` releases the hold when the jobs have ended, whether they succeeded or failed. VideoDB's balance shows
spending late. So the used credits count for 20 more minutes. The rest is free at once.

`airflow videodb holds list` shows who holds credits, and who waits. Credit holds need Airflow 3.3.
"""

import time

from airflow.sdk import dag, task

from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator

JOB_SECONDS = 2


def credits_then_jobs(credits: int) -> None:
    """Hold the credits, run the jobs, release the credits."""
    gate = EnsureCreditsOperator(task_id="credits", credits=credits, hold=True, poll_interval=5, retries=2)

    @task(pre_execute=gate.require_hold())
    def upload() -> None:
        """Stand for the upload of a video."""
        time.sleep(JOB_SECONDS)

    @task(pre_execute=gate.require_hold())
    def index() -> int:
        """Stand for the indexing job, and return the credits that both jobs used."""
        time.sleep(JOB_SECONDS)
        return credits - 2

    # A job that fails returns no figure. Then all of its credits count.
    with gate.held(spent="{{ ti.xcom_pull(task_ids='index') }}"):
        upload() >> index()


# No max_active_runs=1: two runs of one DAG share the account as two DAGs do.
@dag(schedule=None, tags=["videodb"], doc_md=__doc__)
def shared_archive() -> None:
    """Archive videos."""
    credits_then_jobs(12)


@dag(schedule=None, tags=["videodb"], doc_md=__doc__)
def shared_highlights() -> None:
    """Find the highlights of videos."""
    credits_then_jobs(8)


shared_archive()
shared_highlights()
