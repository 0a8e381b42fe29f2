"""How an operator fails: what it logs, and whether Airflow retries it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.exceptions import AirflowFailException

from airflow_provider_videodb.exceptions import VideoDBAuthenticationError, VideoDBNoConnectionError, VideoDBServerError
from airflow_provider_videodb.operators._arguments import fail_without_retry
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from airflow_provider_videodb.version_compat import AirflowSensorTimeout, TaskDeferralError, TaskDeferralTimeout


class Log:
    """Keeps the lines that a task would log as errors."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, message: str, *values: Any) -> None:
        self.lines.append(message % values)


def test_permanent_error_is_not_retried_and_shown_once() -> None:
    log: Any = Log()
    error = VideoDBAuthenticationError("The key was refused. Next step: correct it.")
    with pytest.raises(AirflowFailException, match="The key was refused") as failed, fail_without_retry(log):
        raise error

    assert failed.value.__context__ is error
    assert failed.value.__suppress_context__
    assert failed.value.__cause__ is None
    assert log.lines == ["The key was refused.", "Next step: correct it."]


@pytest.mark.parametrize("error", [VideoDBServerError("It failed."), VideoDBNoConnectionError("It failed.")], ids=repr)
def test_other_error_is_logged_and_can_be_retried(error: Exception) -> None:
    log: Any = Log()
    with pytest.raises(type(error)) as failed, fail_without_retry(log, conn_id="videodb_eu"):
        raise error

    assert failed.value is error
    assert log.lines == ["It failed.", "Connection: videodb_eu"]


def test_foreign_error_passes_unlogged() -> None:
    log: Any = Log()
    with pytest.raises(ZeroDivisionError), fail_without_retry(log):
        raise ZeroDivisionError

    assert log.lines == []


@pytest.mark.parametrize(
    "task",
    [
        TopupOperator(task_id="topup", amount=50),
        EnsureCreditsOperator(task_id="ensure", credits=53),
        CreditThresholdSensor(task_id="gate", threshold=53),
    ],
    ids=lambda task: task.task_id,
)
@pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger failure"])
def test_wait_without_a_triggerer_names_the_next_step(
    task: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((TaskDeferralError, TaskDeferralTimeout, AirflowSensorTimeout)):
        task.resume_execution("__fail__", {"error": reason}, {})

    logged = capsys.readouterr().out
    assert f"did not complete the wait ({reason})" in logged
    assert "Next step: check that a triggerer runs" in logged
    assert "Connection: videodb_default" in logged
