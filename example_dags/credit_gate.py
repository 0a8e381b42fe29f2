"""
Index three videos with VideoDB's own SDK, and never start short of credits.

`top_up` buys 20 dollars' worth of credits if the credit balance is below 12. It shows the payment link on its page and
waits, without a worker, until somebody has paid. If the balance suffices, it buys nothing.

`enough_credits` waits until the balance is at least 12: VideoDB can take minutes to show a payment there.

`index_video` uploads each video and indexes its spoken words, with the API key and the base URL of the Airflow
connection `videodb_default`.
"""

from airflow.sdk import Connection, dag, task

from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

CREDITS_NEEDED = 12
VIDEOS = [
    "https://www.youtube.com/watch?v=WDv4AWk0J3U",
    "https://www.youtube.com/watch?v=lsODSDmY4CY",
    "https://www.youtube.com/watch?v=aRgP3n0XiMc",
]


# One run at a time: two would count on the same credits.
@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def credit_gate() -> None:
    """Top up if needed, wait for the credits, index."""
    top_up = TopupOperator(task_id="top_up", amount=20, only_if_below=CREDITS_NEEDED, poll_interval=5)
    enough_credits = CreditThresholdSensor(task_id="enough_credits", threshold=CREDITS_NEEDED, poke_interval=5)

    @task
    def index_video(url: str) -> str:
        """Upload one video, index its spoken words and return its id."""
        import videodb

        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        api_key = Connection.get("videodb_default").password
        base_url = VideoDBBillingHook().get_conn().base_url
        account = videodb.connect(api_key=api_key, base_url=base_url)
        video = account.get_collection().upload(url=url)
        video.index_spoken_words()
        return str(video.id)

    top_up >> enough_credits >> index_video.expand(url=VIDEOS)


credit_gate()
