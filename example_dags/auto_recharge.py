"""
Let VideoDB recharge the account by itself, for as long as a pipeline runs.

`recharge_on` makes VideoDB add 100 credits whenever the balance falls below 20.

`index_videos` spends credits with VideoDB's own SDK, with the API key and the base URL of the Airflow connection
`videodb_default`.

`recharge_back` brings back the settings that `recharge_on` found, also if `index_videos` fails.
"""

from airflow.sdk import Connection, dag, task

from airflow_provider_videodb.operators.billing import AutoRechargeOperator

VIDEOS = ["https://www.youtube.com/watch?v=WDv4AWk0J3U"]


@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def auto_recharge() -> None:
    """Switch automatic recharge on, work, bring it back."""
    recharge_on = AutoRechargeOperator(task_id="recharge_on", threshold=20, amount=100)
    recharge_back = AutoRechargeOperator(task_id="recharge_back", restore=recharge_on.output)

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

    recharge_on >> index_videos() >> recharge_back.as_teardown(setups=recharge_on)


auto_recharge()
