"""Tasks that Airflow retries, or not, by the policy of this package."""

from datetime import timedelta

from airflow import sdk
from airflow.sdk import dag, task

from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

if hasattr(sdk, "RetryPolicy"):
    from airflow_provider_videodb.policies.retry import VideoDBRetryPolicy

    #: The task would be retried after an hour without a policy that says otherwise.
    POLICY = {
        "retries": 2,
        "retry_delay": timedelta(hours=1),
        "retry_policy": VideoDBRetryPolicy(credits_delay=timedelta(seconds=4)),
    }

    @dag(schedule=None)
    def live_retries() -> None:
        @task(**POLICY)
        def read() -> None:
            VideoDBBillingHook().get_poll_client().get_usage()

        @task(**POLICY)
        def index() -> None:
            hook = VideoDBBillingHook()
            hook.get_sdk().get_collection().upload(url="https://example.com/a.mp4").index_spoken_words()

        @task(**POLICY)
        def buy() -> None:
            VideoDBBillingHook().topup(20)

        @task.branch
        def choose(dag_run=None) -> str:
            return dag_run.conf["task"]

        choose() >> [read(), index(), buy()]

    live_retries()
