"""
Let VideoDB recharge the account by itself, for as long as a pipeline runs.

`recharge_on` makes VideoDB add 100 credits whenever the balance falls below 20.

`index_videos` spends credits with VideoDB's own SDK, with the API key and the base URL of the Airflow connection
`videodb_default`.

`recharge_back` brings back the settings that `recharge_on` found, also if `recharge_on` or `index_videos` fails. If
VideoDB does not answer, Airflow retries it. If the last retry fails, the run fails, and its log says what is still on.

`report` says what was indexed. It also makes the run fail if `index_videos` fails: with `on_failure_fail_dagrun`,
Airflow judges the run by `recharge_back` and by `report`, and not by the tasks before them.

The settings belong to the account. With `max_active_runs=1` two runs of this DAG cannot overlap. Do not let another
pipeline set automatic recharge on the same account in the same hours: whichever ends last brings back what it found,
and that can be the other's setting. Automatic recharge then stays on.
"""

from datetime import timedelta

from airflow.sdk import Connection, dag, task

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator

VIDEOS = ["https://www.youtube.com/watch?v=WDv4AWk0J3U"]
RETRY_DELAY = timedelta(seconds=20)


@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def auto_recharge() -> None:
    """Switch automatic recharge on, work, bring it back."""
    recharge_on = AutoRechargeOperator(
        task_id="recharge_on", threshold=20, amount=100, retries=3, retry_delay=RETRY_DELAY
    )
    recharge_back = AutoRechargeOperator(
        task_id="recharge_back", restore=recharge_on.output, retries=3, retry_delay=RETRY_DELAY
    )

    @task
    def index_videos() -> list[str]:
        """Upload and index the videos and return their ids."""
        import videodb

        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        api_key = Connection.get("videodb_default").password
        account = videodb.connect(api_key=api_key, base_url=VideoDBBillingHook().get_conn().base_url)
        videos = [account.get_collection().upload(url=url) for url in VIDEOS]
        for video in videos:
            video.index_spoken_words()
        return [str(video.id) for video in videos]

    @task
    def report(video_ids: list[str]) -> str:
        """Say what was indexed."""
        line = f"Indexed {len(video_ids)} videos: {', '.join(video_ids)}"
        print(line)  # noqa: T201 - a task's output is its log
        return line

    indexed = index_videos()
    recharge_on >> indexed >> recharge_back.as_teardown(setups=recharge_on, on_failure_fail_dagrun=True)
    report(indexed)


auto_recharge()
