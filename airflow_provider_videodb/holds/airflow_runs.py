"""
Asks Airflow whether a holder still runs.

It works in a worker and in a triggerer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.purchases.variables import ask_airflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.holds.identity import Identity

#: States of a DAG run whose tasks may still run.
_ACTIVE_RUNS = ["queued", "running"]
#: States of a task that neither runs nor will run, unless a person clears it.
FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


def has_run_ended(who: Identity) -> bool:
    """
    Tell whether the DAG run has ended or was deleted.

    :return: ``False`` also if Airflow does not say.
    """
    from airflow.sdk.execution_time.comms import DRCount, GetDRCount

    try:
        active = ask_airflow(GetDRCount(dag_id=who.dag_id, run_ids=[who.run_id], states=_ACTIVE_RUNS))
    except Exception:  # noqa: BLE001 - a hold that may still be needed stays
        return False
    return isinstance(active, DRCount) and active.count == 0


def has_task_finished(who: Identity) -> bool:
    """
    Tell whether the task has finished, so that it no longer waits.

    :return: ``False`` also if Airflow does not say.
    """
    states = states_of(who, [who.task_id], map_index=who.map_index)
    return states is not None and len(states) == 1 and states[0] in FINISHED


def states_of(who: Identity, task_ids: Sequence[str], *, map_index: int = -1) -> list[str | None] | None:
    """
    Return the states of tasks in the same DAG run.

    Airflow gives map index 1 of task ``a`` the same name as a task ``a_1``. So each task needs its own request.

    :param map_index: ``-1`` stands for all map indexes.
    :return: ``None`` if Airflow does not say.
    """
    states: list[str | None] = []
    for task_id in task_ids:
        found = _states_of_one(who, task_id, map_index=map_index)
        if found is None:
            return None
        states += found
    return states


def _states_of_one(who: Identity, task_id: str, *, map_index: int) -> list[str | None] | None:
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    question = GetTaskStates(
        dag_id=who.dag_id,
        run_ids=[who.run_id],
        task_ids=[task_id],
        map_index=map_index if map_index >= 0 else None,
    )
    try:
        found = ask_airflow(question)
    except Exception:  # noqa: BLE001 - an unknown task counts as one that has not ended
        return None
    if not isinstance(found, TaskStatesResult):
        return None
    states = found.task_states.get(who.run_id, {}).values()
    return [None if state is None else str(getattr(state, "value", state)) for state in states]
