"""
What a user writes: a pipeline, its notifier, its callback and a test. `make lint` checks this file; nothing runs it.

It has no ignore, because a user should need none. `tests/packaging/test_typing.py` checks it against the wheel.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, dag, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_videodb.exceptions import (
    VideoDBAPIError,
    VideoDBError,
    VideoDBInsufficientCreditsError,
    VideoDBPurchaseUnknownError,
)
from airflow_provider_videodb.operators.auto_recharge import AutoRechargeOperator
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pytest import MonkeyPatch  # noqa: PT013 - a user's style

    from airflow_provider_videodb.emulator.server import Emulator


class Print(BaseNotifier):
    """Show the link."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Context) -> None:
        self.log.info(self.text)


def explain(context: Context) -> None:
    error: BaseException | str | None = context.get("exception")
    if isinstance(error, AirflowFailException):
        error = error.__context__
    if isinstance(error, VideoDBPurchaseUnknownError):
        raise error
    if isinstance(error, VideoDBAPIError):
        request: tuple[int | None, str | None, float | None] = (error.status, error.request_id, error.retry_after)
        raise RuntimeError(str(request)) from error
    if isinstance(error, VideoDBError):
        raise RuntimeError(str(error)) from error


@task(retries=3)
def index_video(url: str) -> str | None:
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

    hook = VideoDBBillingHook("videodb_default")
    if hook.get_usage().credit_balance < 4:
        raise VideoDBInsufficientCreditsError("Too few credits.")
    with hook.credit_shortage_as_error():
        hook.get_sdk().get_collection().upload(url=url).index_spoken_words()
    paid = [checkout.amount for checkout in hook.list_checkouts(limit=5) if checkout.status == "completed"]
    return str(sum(amount for amount in paid if amount is not None))


@dag(schedule=None, max_active_runs=1)
def pipeline() -> None:
    top_up = TopupOperator(
        task_id="top_up",
        amount="{{ params.amount }}",
        only_if_below=12,
        payment_timeout=timedelta(hours=2),
        notifiers=[Print("Pay here: {{ task.payment_url }}")],
        retries=3,
        on_failure_callback=explain,
    )
    enough = CreditThresholdSensor(task_id="enough", threshold=12, mode="reschedule", deferrable=False)
    gate = EnsureCreditsOperator(task_id="credits", credits=12, hold=True, priority=1)
    on = AutoRechargeOperator(task_id="on", enabled=True, threshold=5, amount=25)
    back = AutoRechargeOperator(task_id="back", restore=on.output, retries=3)
    with gate.held():
        jobs = index_video.expand(url=["https://example.com/1.mp4"])
    top_up >> enough >> gate >> on >> jobs >> back.as_teardown(setups=on)


def test_pipeline_pays_once(videodb_emulator: Emulator, monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", videodb_emulator.connection_json)
    videodb_emulator.change_settings(pay_after=1)
    videodb_emulator.add_fault("drop_after", path="/billing/topup")
    run: Any = pipeline().test()
    assert run.state == "success"
    assert videodb_emulator.balance == 23
    assert [checkout.status for checkout in videodb_emulator.checkouts()] == ["completed"]
