"""A purchasing operator fails on every event that it does not understand."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBCheckoutExpiredError,
    VideoDBError,
    VideoDBOutcomeUnknownError,
)
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.version_compat import AirflowFailException, TaskDeferred
from tests.support.records import purchase_of

NO_CONTEXT: Any = {}


@pytest.fixture(params=["topup", "ensure"])
def operator(request: pytest.FixtureRequest) -> Any:
    if request.param == "topup":
        return TopupOperator(task_id="topup", amount=50)
    return EnsureCreditsOperator(task_id="ensure", credits=53)


@pytest.mark.parametrize(
    "event",
    [None, "paid", 5, [], {}, {"status": None}, {"status": "PAID"}, {"status": "success"}, {"status": ["paid"]}],
    ids=str,
)
def test_unknown_event_fails(operator: Any, event: Any) -> None:
    with pytest.raises(VideoDBError, match="The trigger sent"):
        operator.execute_complete(NO_CONTEXT, event)


@pytest.mark.parametrize("event", [{"status": "enough"}, {"status": "paid"}, {"status": "timeout"}], ids=str)
def test_event_without_its_data_fails(operator: Any, event: Any) -> None:
    with pytest.raises((VideoDBError, KeyError)):
        operator.execute_complete(NO_CONTEXT, event)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("VideoDBCheckoutExpiredError", VideoDBCheckoutExpiredError),
        ("VideoDBOutcomeUnknownError", VideoDBOutcomeUnknownError),
        ("NoSuchError", VideoDBError),
        ("SystemExit", VideoDBError),
        (None, VideoDBError),
    ],
    ids=str,
)
def test_trigger_error_is_raised_in_its_class(operator: Any, name: str | None, error: type[VideoDBError]) -> None:
    with pytest.raises(VideoDBError, match="what happened") as raised:
        operator.execute_complete(NO_CONTEXT, {"status": "error", "error": name, "message": "what happened"})
    assert type(raised.value) is error


def test_permanent_trigger_error_is_not_retried(operator: Any) -> None:
    event = {"status": "error", "error": "VideoDBAuthenticationError", "message": "what happened"}
    with pytest.raises(AirflowFailException) as raised:
        operator.execute_complete(NO_CONTEXT, event)
    assert isinstance(raised.value.__context__, VideoDBAuthenticationError)


def test_expired_checkout_hides_the_button(operator: Any) -> None:
    event = {"status": "error", "error": "VideoDBCheckoutExpiredError", "message": "what happened"}
    with pytest.raises(VideoDBCheckoutExpiredError):
        operator.execute_complete(NO_CONTEXT, event)
    assert not operator.has_open_checkout


def test_airflow_ends_a_deferral_after_our_own_deadline(operator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_videodb.operators._purchasing.time.time", lambda: 1000.0)
    trigger = CheckoutTrigger(
        purchase=purchase_of("cs_1"), videodb_conn_id="videodb_default", poll_interval=30, deadline=1600
    )
    with pytest.raises(TaskDeferred) as deferred:
        operator.wait(trigger, NO_CONTEXT, deferrable=True, describe_open=None)

    assert deferred.value.trigger is trigger
    assert deferred.value.timeout is not None
    assert 600 < deferred.value.timeout.total_seconds() <= 720
