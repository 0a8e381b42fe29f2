"""
Index a long video without holding a worker, and without submitting the job twice.

`enough_credits` waits until the balance is at least 4 credits. The number is a guess, because VideoDB tells no price in
advance.

`upload` uploads the video with VideoDB's SDK, which holds a worker until VideoDB has the file.

`submit` starts the indexing job and returns its id at once. It has no retries, because VideoDB may have started the job
although its response was lost. If it fails, check VideoDB's console before you clear it.

`indexed` polls the job by its id. Between two polls it holds no worker. If a poll fails, the retry polls the same job.
It polls on the connection's own host. The SDK would send the API key to any host that VideoDB's response names.

If the job fails for lack of credits, buy credits, then clear `submit` with its downstream tasks. A retry of `indexed`
alone polls the failed job again.
"""

from datetime import timedelta

from airflow.sdk import PokeReturnValue, dag, task

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

VIDEO = "https://www.youtube.com/watch?v=WDv4AWk0J3U"


@dag(schedule=None, max_active_runs=1, tags=["videodb"], doc_md=__doc__)
def careful_index() -> None:
    """Wait for the credits, upload, submit, poll."""
    enough_credits = CreditThresholdSensor(task_id="enough_credits", threshold=4, poke_interval=5)

    @task
    def upload(url: str) -> str:
        """Upload the video and return its id."""
        from airflow_provider_videodb.hooks.videodb import VideoDBHook

        hook = VideoDBHook()
        with hook.credit_shortage_as_error():
            return str(hook.get_sdk().get_collection().upload(url=url).id)

    @task(retries=0)
    def submit(video_id: str) -> str:
        """Start the indexing job and return its id."""
        from airflow_provider_videodb.hooks.videodb import VideoDBHook

        hook = VideoDBHook()
        with hook.credit_shortage_as_error():
            job = hook.get_sdk().post(f"video/{video_id}/index", {"index_type": "spoken_word"}, wait=False)
        return str(job["id"])

    @task.sensor(mode="reschedule", poke_interval=5, timeout=6 * 3600, retries=3, retry_delay=timedelta(seconds=10))
    def indexed(job_id: str) -> PokeReturnValue:
        """Poll the job until it has ended."""
        from videodb import InvalidRequestError

        from airflow_provider_videodb.hooks.videodb import VideoDBHook

        hook = VideoDBHook()
        sdk = hook.get_sdk()
        response = sdk.session.get(f"{sdk.base_url}/async-response/{job_id}", timeout=30, allow_redirects=False)
        response.raise_for_status()
        job = response.json()
        if job["status"] in ("processing", "done"):
            return PokeReturnValue(is_done=job["status"] == "done", xcom_value=job_id)
        with hook.credit_shortage_as_error():
            raise InvalidRequestError(f"Job {job_id} has the status {job['status']}: {job.get('message')}", response)

    enough_credits >> (video_id := upload(VIDEO))
    indexed(submit(video_id))


careful_index()
