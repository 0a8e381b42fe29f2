"""
Index three videos with VideoDB's SDK, and start only with enough credits.

`top_up` buys credits for 20 US dollars if the balance is below 12 credits. It shows the payment link on its page and
waits, without a worker, until somebody has paid. If the balance is high enough, it buys nothing.

`enough_credits` waits until the balance is at least 12 credits, because VideoDB can take minutes to add a payment.

`index_video` uploads one video and indexes its spoken words. Each try first checks that the balance is at least 4
credits, and otherwise waits for them without a worker. If VideoDB runs out of credits during the job, the retry
therefore waits for new credits before it starts the job again.

The SDK suits short videos only. It holds the worker while VideoDB works and gives up after 500 seconds, but the job
goes on and is billed, and a retry submits it again. `careful_index.py` shows the careful form for long videos.
"""

from datetime import timedelta

from airflow.sdk import PokeReturnValue, dag, task

from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

CREDITS_PER_VIDEO = 4
VIDEOS = [
    "https://www.youtube.com/watch?v=WDv4AWk0J3U",
    "https://www.youtube.com/watch?v=lsODSDmY4CY",
    "https://www.youtube.com/watch?v=aRgP3n0XiMc",
]
CREDITS_NEEDED = CREDITS_PER_VIDEO * len(VIDEOS)


# One run at a time, because two runs would count on the same credits.
@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def credit_gate() -> None:
    """Top up if needed, wait for the credits, index."""
    top_up = TopupOperator(task_id="top_up", amount=20, only_if_below=CREDITS_NEEDED, poll_interval=5)
    enough_credits = CreditThresholdSensor(task_id="enough_credits", threshold=CREDITS_NEEDED, poke_interval=5)

    # A sensor, so that every try of the job passes the gate.
    @task.sensor(mode="reschedule", poke_interval=5, retries=3, retry_delay=timedelta(seconds=10))
    def index_video(url: str) -> PokeReturnValue:
        """Upload one video, index its spoken words and return its id."""
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        hook = VideoDBBillingHook()
        if hook.get_usage().credit_balance < CREDITS_PER_VIDEO:
            return PokeReturnValue(is_done=False)
        with hook.credit_shortage_as_error():
            video = hook.get_sdk().get_collection().upload(url=url)
            video.index_spoken_words()
        return PokeReturnValue(is_done=True, xcom_value=str(video.id))

    top_up >> enough_credits >> index_video.expand(url=VIDEOS)


credit_gate()
