"""
Let VideoDB recharge the account automatically while a pipeline runs.

`recharge_on` makes VideoDB add 100 credits whenever the balance falls below 20.

`index_videos` spends credits with VideoDB's SDK.

`recharge_back` restores the settings that `recharge_on` found, even if `recharge_on` or `index_videos` fails. If
VideoDB does not respond, Airflow retries it. If the last retry fails, the run fails, and the log says what is still on.

`report` prints what was indexed. It makes the run fail if `index_videos` fails. With `on_failure_fail_dagrun`, Airflow
judges the run by `recharge_back` and `report`, and not by the tasks before them.

The settings belong to the account. If several pipelines change them at the same time, the last one restores what the
first one found. Below Airflow 3.3, only one pipeline at a time may change them, because automatic recharge can
otherwise stay on. `max_active_runs=1` keeps two runs of this DAG apart.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator

VIDEOS = ["https://www.youtube.com/watch?v=WDv4AWk0J3U"]
RETRY_DELAY = timedelta(seconds=20)


@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def auto_recharge() -> None:
    """Turn automatic recharge on, work, restore the settings."""
    recharge_on = AutoRechargeOperator(
        task_id="recharge_on", threshold=20, amount=100, retries=3, retry_delay=RETRY_DELAY
    )
    recharge_back = AutoRechargeOperator(
        task_id="recharge_back", restore=recharge_on.output, retries=3, retry_delay=RETRY_DELAY
    )

    @task
    def index_videos() -> list[str]:
        """Upload and index the videos and return their ids."""
        from airflow_provider_videodb.hooks.videodb import VideoDBHook

        collection = VideoDBHook().get_sdk().get_collection()
        videos = [collection.upload(url=url) for url in VIDEOS]
        for video in videos:
            video.index_spoken_words()
        return [str(video.id) for video in videos]

    @task
    def report(video_ids: list[str]) -> str:
        """Print what was indexed."""
        line = f"Indexed {len(video_ids)} videos: {', '.join(video_ids)}"
        print(line)  # noqa: T201 - a task's output is its log
        return line

    indexed = index_videos()
    recharge_on >> indexed >> recharge_back.as_teardown(setups=recharge_on, on_failure_fail_dagrun=True)
    report(indexed)


auto_recharge()
