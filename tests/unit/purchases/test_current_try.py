"""Whether this try of a task may still act, by what Airflow responds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import (
    ErrorResponse,
    GetTaskStates,
    InactiveAssetsResult,
    OKResponse,
    TaskStatesResult,
    ValidateInletsAndOutlets,
    VariableResult,
)

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError, VideoDBTryOverError
from airflow_provider_videodb.purchases.current_try import CurrentTry
from airflow_provider_videodb.purchases.variables import describe_cause
from tests.support.airflow_faults import REFUSALS, from_dag_test, from_supervisor

if TYPE_CHECKING:
    from collections.abc import Callable


TI_ID = UUID("01a2134f-a4b2-7000-8000-000000000001")
OVER = (
    "This try sends nothing more to VideoDB and shares no further link. Next step: open the newest try of the "
    "task, which continues from the record."
)
STATE, NEWEST = "GetTaskStates", "ValidateInletsAndOutlets"


class Airflow:
    """
    Airflow's API server, as one try asks it.

    :param state: what it says of the task's newest try.
    :param newest: what it says of the try's own id.
    """

    def __init__(self, *, map_index: int | None = -1) -> None:
        self.ti = SimpleNamespace(id=TI_ID, dag_id="dag", run_id="run", task_id="task", map_index=map_index)
        name = "task" if map_index in (None, -1) else f"task_{map_index}"
        self.state: Any = TaskStatesResult(task_states={"run": {name: "running"}})
        self.newest: Any = InactiveAssetsResult(inactive_assets=[])
        self.asked: list[Any] = []
        self.on: dict[str, Callable[[], object]] = {}
        self.is_stopped = False
        self.seconds, self.time = 100.0, datetime(2026, 1, 15, 12, tzinfo=UTC)

    # The clock of the worker

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.time

    def stands_still(self, *, seconds: float = 0, wall: float = 0) -> None:
        self.seconds += seconds
        self.time += timedelta(seconds=wall)

    def send(self, question: Any) -> Any:
        self.asked.append(question)
        kind = type(question).__name__
        self.on.get(kind, lambda: None)()
        response = self.state if kind == STATE else self.newest
        if isinstance(response, Exception):
            raise response
        return response

    def stops(self) -> None:
        self.is_stopped = True

    @property
    def this_try(self) -> CurrentTry:
        return CurrentTry(self.ti, is_stopped=lambda: self.is_stopped, clock=self)  # type: ignore[arg-type]

    def says(self, state: Any) -> None:
        self.state = TaskStatesResult(task_states={"run": {"task": state}})


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    return installed(Airflow(), monkeypatch)


def installed(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", airflow, raising=False)
    return airflow


def test_try_is_named_by_its_task_instance(airflow: Airflow) -> None:
    assert airflow.this_try.id == str(TI_ID)


@pytest.mark.parametrize(
    ("map_index", "asked_for", "shown"),
    [
        (-1, None, {"task": "running"}),
        (None, None, {"task": "running"}),
        (0, 0, {"task_0": "running"}),
        (12, 12, {"task_12": "running"}),
        # What is said of others says nothing of this one.
        (1, 1, {"task_0": "failed", "task_1": "running"}),
    ],
)
def test_newest_try_of_a_running_task_may_act(
    monkeypatch: pytest.MonkeyPatch, map_index: int | None, asked_for: int | None, shown: dict[str, Any]
) -> None:
    airflow = installed(Airflow(map_index=map_index), monkeypatch)
    airflow.state = TaskStatesResult(task_states={"run": shown})
    airflow.this_try.check()

    # The state first: "running" may be the next try's, if this one is not the newest afterwards.
    assert airflow.asked == [
        GetTaskStates(dag_id="dag", run_ids=["run"], task_ids=["task"], map_index=asked_for),
        ValidateInletsAndOutlets(ti_id=TI_ID),
    ]


@pytest.mark.parametrize("state", ["failed", "success", "restarting", "up_for_retry", "skipped", "deferred", "", None])
def test_task_that_is_not_running_is_over(airflow: Airflow, state: str | None) -> None:
    airflow.says(state)

    with pytest.raises(VideoDBTryOverError) as caught:
        airflow.this_try.check()
    assert str(caught.value) == (
        f"Task task is in state {state!r}, not running, because somebody marked or cleared it. {OVER}"
    )


@pytest.mark.parametrize(
    "states",
    [{}, {"run": {}}, {"run": {"task_0": "running"}}, {"other": {"task": "running"}}, {"run": {"other": "running"}}],
    ids=str,
)
def test_task_without_a_known_state_is_over(airflow: Airflow, states: dict[str, Any]) -> None:
    airflow.state = TaskStatesResult(task_states=states)

    with pytest.raises(VideoDBTryOverError, match="is in state None"):
        airflow.this_try.check()


def test_mapped_task_is_over_while_another_index_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow = installed(Airflow(map_index=3), monkeypatch)
    airflow.state = TaskStatesResult(task_states={"run": {"task_2": "running", "task": "running", "task_3": "failed"}})

    with pytest.raises(VideoDBTryOverError, match="is in state 'failed'"):
        airflow.this_try.check()


def test_state_may_come_as_an_enum(airflow: Airflow) -> None:
    from airflow.sdk import TaskInstanceState

    airflow.state = TaskStatesResult.model_construct(task_states={"run": {"task": TaskInstanceState.RUNNING}})
    airflow.this_try.check()

    airflow.state = TaskStatesResult.model_construct(task_states={"run": {"task": TaskInstanceState.FAILED}})
    with pytest.raises(VideoDBTryOverError, match="is in state 'failed'"):
        airflow.this_try.check()


@pytest.mark.parametrize("gone", [from_supervisor(404), from_dag_test(404)], ids=repr)
def test_try_with_a_stale_id_is_over(airflow: Airflow, gone: Exception) -> None:
    # "running" is then said of the next try.
    airflow.newest = gone

    with pytest.raises(VideoDBTryOverError) as caught:
        airflow.this_try.check()
    assert str(caught.value) == (f"A newer try of task task has begun, or its task instance was deleted. {OVER}")
    assert caught.value.__cause__ is gone


@pytest.mark.parametrize("question", [STATE, NEWEST])
@pytest.mark.parametrize(
    "response",
    [
        *REFUSALS,
        from_supervisor(401),
        from_supervisor(403),
        from_dag_test(403),
        RuntimeError("no status at all"),
        None,
        OKResponse(ok=True),
        ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND),
        # On 3.1 a question that crosses with another one may be given the other's response.
        VariableResult(key="a", value="running"),
    ],
    ids=repr,
)
def test_failure_of_airflow_is_not_taken_for_yes(airflow: Airflow, question: str, response: Any) -> None:
    setattr(airflow, "state" if question == STATE else "newest", response)

    with pytest.raises(VideoDBRecordUnreadableError) as caught:
        airflow.this_try.check()
    assert str(caught.value) == (
        f"Airflow could not say whether this try of task task should continue ({describe_cause(response)}). Nothing "
        "more was bought. Next step: check Airflow's API server and its database, then retry the task."
    )
    assert caught.value.__cause__ is (response if isinstance(response, Exception) else None)


@pytest.mark.parametrize("gone", [from_supervisor(404), from_dag_test(404)], ids=repr)
def test_missing_state_does_not_mean_a_newer_try(airflow: Airflow, gone: Exception) -> None:
    airflow.state = gone

    with pytest.raises(VideoDBRecordUnreadableError, match="could not say"):
        airflow.this_try.check()


@pytest.mark.parametrize("question", [STATE, NEWEST])
def test_response_to_the_other_question_does_not_count(airflow: Airflow, question: str) -> None:
    if question == STATE:
        airflow.state = airflow.newest
    else:
        airflow.newest = airflow.state

    with pytest.raises(VideoDBRecordUnreadableError, match="could not say"):
        airflow.this_try.check()


def test_cause_in_the_error_is_cut_short(airflow: Airflow) -> None:
    airflow.state = RuntimeError("x" * 5000)

    with pytest.raises(VideoDBRecordUnreadableError) as caught:
        airflow.this_try.check()
    assert f"({'x' * 200})" in str(caught.value)


@pytest.mark.parametrize(("told_at", "asked"), [(None, 0), (STATE, 2), (NEWEST, 2)])
def test_worker_told_to_stop_is_over_whenever_it_is_told(airflow: Airflow, told_at: str | None, asked: int) -> None:
    if told_at is None:
        airflow.stops()
    else:
        airflow.on[told_at] = airflow.stops

    with pytest.raises(VideoDBTryOverError) as caught:
        airflow.this_try.check()
    assert str(caught.value) == f"The worker of task task was told to stop. {OVER}"
    assert len(airflow.asked) == asked


@pytest.mark.parametrize("pause", [{"seconds": 6}, {"wall": 6}, {"wall": -6}, {"seconds": 3600, "wall": 3600}], ids=str)
class TestFrozenWorker:
    def test_frozen_worker_asks_again(self, airflow: Airflow, pause: dict[str, float]) -> None:
        pauses = iter([pause])
        airflow.on[NEWEST] = lambda: airflow.stands_still(**next(pauses, {}))
        airflow.this_try.check()

        assert len(airflow.asked) == 4

    def test_frozen_worker_believes_no_old_response(self, airflow: Airflow, pause: dict[str, float]) -> None:
        airflow.on[NEWEST] = lambda: airflow.stands_still(**pause)
        with pytest.raises(VideoDBRecordUnreadableError, match="longer than 5 s"):
            airflow.this_try.check()

        assert len(airflow.asked) == 6
