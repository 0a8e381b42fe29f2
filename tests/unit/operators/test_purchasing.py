"""What the operators that buy do with an event of their trigger: nothing that is not understood passes for success."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.exceptions import AirflowFailException
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_videodb.exceptions import (
    VideoDBAuthenticationError,
    VideoDBCheckoutExpiredError,
    VideoDBError,
    VideoDBOutcomeUnknownError,
)
from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
from airflow_provider_videodb.operators.topup import TopupOperator
from tests.support.records import purchase_of

OPERATORS = [
    TopupOperator(task_id="topup", amount=50),
    EnsureCreditsOperator(task_id="ensure", credits=53),
]
NO_CONTEXT: Any = {}


@pytest.fixture(params=OPERATORS, ids=lambda operator: operator.task_id)
def operator(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize(
    "event",
    [None, "paid", 5, [], {}, {"status": None}, {"status": "PAID"}, {"status": "success"}, {"status": ["paid"]}],
    ids=str,
)
def test_an_event_that_is_none_of_ours_fails(operator: Any, event: Any) -> None:
    with pytest.raises(VideoDBError, match="not an event that this task expects"):
        operator.execute_complete(NO_CONTEXT, event)


@pytest.mark.parametrize("event", [{"status": "enough"}, {"status": "paid"}, {"status": "timeout"}], ids=str)
def test_an_event_without_what_it_is_about_fails(operator: Any, event: Any) -> None:
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
def test_an_error_of_the_trigger_is_raised_in_its_own_class(
    operator: Any, name: str | None, error: type[VideoDBError]
) -> None:
    with pytest.raises(VideoDBError, match="what happened") as raised:
        operator.execute_complete(NO_CONTEXT, {"status": "error", "error": name, "message": "what happened"})
    assert type(raised.value) is error


def test_an_error_that_a_person_must_mend_is_not_retried(operator: Any) -> None:
    event = {"status": "error", "error": "VideoDBAuthenticationError", "message": "what happened"}
    with pytest.raises(AirflowFailException) as raised:
        operator.execute_complete(NO_CONTEXT, event)
    assert isinstance(raised.value.__cause__, VideoDBAuthenticationError)


def test_airflow_may_end_a_deferral_only_after_our_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_videodb.triggers.checkout import CheckoutTrigger

    monkeypatch.setattr("airflow_provider_videodb.operators._purchasing.time.time", lambda: 1000.0)
    trigger = CheckoutTrigger(
        purchase=purchase_of("cs_1"), videodb_conn_id="videodb_default", poll_interval=30, deadline=1600
    )
    with pytest.raises(TaskDeferred) as deferred:
        OPERATORS[0].wait(trigger, None, NO_CONTEXT)

    assert deferred.value.trigger is trigger
    assert deferred.value.timeout is not None
    assert 600 < deferred.value.timeout.total_seconds() <= 720
