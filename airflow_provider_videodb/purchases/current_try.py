"""
Checks whether this try of a task may still act.

A worker learns late, or never, that its task was marked or cleared, or that Airflow began another try because it
believed the worker dead. Airflow's database knows at once, because a retry and a clear give the task instance another
id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError, VideoDBTryOverError
from airflow_provider_videodb.purchases.clock import Clock, age_from_now
from airflow_provider_videodb.purchases.variables import CHECK_AIRFLOW, ask_airflow, describe_cause

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNNING = "running"
#: A response of Airflow is too old to act upon after these seconds, because the worker may have been frozen.
MAX_RESPONSE_AGE = 5.0
#: One check asks this often before it gives up because the responses are too old.
_MAX_STALE_RESPONSES = 3


class CurrentTry:
    """
    The try of the task instance that runs in this process.

    :param ti: Airflow's task instance.
    :param is_stopped: says whether the worker was told to stop.
    """

    def __init__(self, ti: Any, *, is_stopped: Callable[[], bool], clock: Clock | None = None) -> None:
        self._ti = ti
        self._is_stopped = is_stopped
        self._clock = clock or Clock()
        #: Names this try. A retry and a clear change it, a deferral does not.
        self.id = str(ti.id)

    def check(self) -> None:
        """
        Ask Airflow whether this try is the newest and should run.

        :raises VideoDBTryOverError: if not.
        :raises VideoDBRecordUnreadableError: if Airflow does not say, or only after :data:`MAX_RESPONSE_AGE`.
        """
        for _ in range(_MAX_STALE_RESPONSES):
            age = age_from_now(self._clock)
            self._check_once()
            if age() <= MAX_RESPONSE_AGE:
                return
        raise self._unknown(f"it took longer than {MAX_RESPONSE_AGE:g} s")

    def _check_once(self) -> None:
        self._check_told()
        # The state belongs to the newest try. If this one is still the newest afterwards, the state was its own.
        state = self._state()
        self._check_newest()
        if state != _RUNNING:
            raise _try_over(
                f"Task {self._ti.task_id} is in state {state!r}, not running, because somebody marked or cleared it."
            )
        # Somebody may have told the worker to stop meanwhile.
        self._check_told()

    def _check_told(self) -> None:
        if self._is_stopped():
            raise _try_over(f"The worker of task {self._ti.task_id} was told to stop.")

    def _check_newest(self) -> None:
        from airflow.sdk.execution_time.comms import InactiveAssetsResult, ValidateInletsAndOutlets

        try:
            # Of all questions of a worker, only this one needs the task instance's id alone and changes nothing.
            found = ask_airflow(ValidateInletsAndOutlets(ti_id=self._ti.id))
        except Exception as err:
            if _status_of(err) != 404:
                raise self._unknown(err) from err
            raise _try_over(
                f"A newer try of task {self._ti.task_id} has begun, or its task instance was deleted."
            ) from err
        if not isinstance(found, InactiveAssetsResult):
            raise self._unknown(found)

    def _state(self) -> str | None:
        from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

        ti = self._ti
        is_mapped = ti.map_index is not None and ti.map_index >= 0
        question = GetTaskStates(
            dag_id=ti.dag_id,
            run_ids=[ti.run_id],
            task_ids=[ti.task_id],
            map_index=ti.map_index if is_mapped else None,
        )
        try:
            found = ask_airflow(question)
        except Exception as err:
            raise self._unknown(err) from err
        if not isinstance(found, TaskStatesResult):
            raise self._unknown(found)
        name = f"{ti.task_id}_{ti.map_index}" if is_mapped else ti.task_id
        state = found.task_states.get(ti.run_id, {}).get(name)
        return None if state is None else str(getattr(state, "value", state))

    def _unknown(self, cause: object) -> VideoDBRecordUnreadableError:
        return VideoDBRecordUnreadableError(
            f"Airflow could not say whether this try of task {self._ti.task_id} should continue "
            f"({describe_cause(cause)}). Nothing more was bought. {CHECK_AIRFLOW}"
        )


def _try_over(why: str) -> VideoDBTryOverError:
    return VideoDBTryOverError(
        f"{why} This try sends nothing more to VideoDB and shares no further link. Next step: open the newest try of "
        "the task, which continues from the record."
    )


def _status_of(err: Exception) -> int | None:
    """Return the HTTP status behind an exception of Airflow, if it has one."""
    detail = getattr(getattr(err, "error", None), "detail", None)
    if isinstance(detail, dict):
        return detail.get("status_code")
    # dag.test() raises the exception of the HTTP client itself.
    return getattr(getattr(err, "response", None), "status_code", None)
