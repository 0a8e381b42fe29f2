"""
Whether this try of a task may still act.

A worker learns late, or never, that its task was marked failed or cleared, or that Airflow took it for dead and began
another try. Airflow's database knows at once: a retry and a clear give the task instance another id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError, VideoDBTryOverError
from airflow_provider_videodb.purchases.clock import Clock, age_from_now

if TYPE_CHECKING:
    from collections.abc import Callable

_RUNNING = "running"
#: Seconds after which Airflow's answer is too old to act upon: a worker may have stood still meanwhile.
MAX_ANSWER_AGE = 5.0
#: How often one check asks when the answers grow too old.
_MOST_STALE_ANSWERS = 3
_NOTHING_MORE = "This try buys nothing more and shows no link."


class CurrentTry:
    """
    The try of the task instance that runs in this process.

    :param ti: Airflow's task instance.
    :param is_stopped: says whether the worker has been told to stop.
    """

    def __init__(self, ti: Any, *, is_stopped: Callable[[], bool], clock: Clock | None = None) -> None:
        self._ti = ti
        self._is_stopped = is_stopped
        self._clock = clock or Clock()
        #: What names this try: it is another one after a retry or a clear, and the same after a deferral.
        self.id = str(ti.id)

    def check(self) -> None:
        """
        Ask Airflow whether this try is the newest and its task is to run. What it says is seconds old at most.

        :raises VideoDBTryOverError: if not.
        :raises VideoDBRecordUnreadableError: if Airflow cannot say.
        """
        for _ in range(_MOST_STALE_ANSWERS):
            age = age_from_now(self._clock)
            self._check_once()
            if age() <= MAX_ANSWER_AGE:
                return
        raise self._unanswered(f"it took longer than {MAX_ANSWER_AGE:g} s")

    def _check_once(self) -> None:
        self._check_told()
        # The state is that of the newest try. If this one is the newest even afterwards, it was this one's.
        state = self._state()
        self._check_newest()
        if state != _RUNNING:
            raise VideoDBTryOverError(
                f"Task {self._ti.task_id} is {state!r} in Airflow, not running: somebody has marked or cleared it. "
                f"{_NOTHING_MORE}"
            )
        # The worker may have been told while Airflow was asked.
        self._check_told()

    def _check_told(self) -> None:
        if self._is_stopped():
            raise VideoDBTryOverError(f"The worker of task {self._ti.task_id} was told to stop. {_NOTHING_MORE}")

    def _check_newest(self) -> None:
        from airflow.sdk.execution_time.comms import InactiveAssetsResult, ValidateInletsAndOutlets

        try:
            # Of all that a worker may ask, this needs the task instance's id alone and changes nothing.
            found = _ask(ValidateInletsAndOutlets(ti_id=self._ti.id))
        except Exception as err:
            if _status_of(err) != 404:
                raise self._unanswered(err) from err
            raise VideoDBTryOverError(
                f"A newer try of task {self._ti.task_id} has begun, or the task instance was deleted. {_NOTHING_MORE}"
            ) from err
        if not isinstance(found, InactiveAssetsResult):
            raise self._unanswered(found)

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
            found = _ask(question)
        except Exception as err:
            raise self._unanswered(err) from err
        if not isinstance(found, TaskStatesResult):
            raise self._unanswered(found)
        name = f"{ti.task_id}_{ti.map_index}" if is_mapped else ti.task_id
        state = found.task_states.get(ti.run_id, {}).get(name)
        return None if state is None else str(getattr(state, "value", state))

    def _unanswered(self, why: object) -> VideoDBRecordUnreadableError:
        return VideoDBRecordUnreadableError(
            f"Airflow could not say whether this try of task {self._ti.task_id} is to go on ({str(why)[:200]}). "
            "Nothing more was bought. Check Airflow's API server and its database, then retry the task."
        )


def _ask(question: Any) -> Any:
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return SUPERVISOR_COMMS.send(question)


def _status_of(err: Exception) -> int | None:
    """Return the HTTP status that Airflow's API server answered with, as far as an exception of Airflow tells."""
    detail = getattr(getattr(err, "error", None), "detail", None)
    if isinstance(detail, dict):
        return detail.get("status_code")
    # dag.test() hands on the exception of the HTTP client itself.
    return getattr(getattr(err, "response", None), "status_code", None)
