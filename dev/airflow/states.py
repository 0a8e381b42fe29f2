"""When the tasks of a run changed their states."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dev.airflow.api import FINISHED

if TYPE_CHECKING:
    from dev.airflow.api import DagRun

#: Airflow 3.1 does not write to its audit log that a task runs, waits or has ended.
AUDIT_LOG_HAS_STATES = tuple(map(int, version("apache-airflow-core").split(".")[:2])) >= (3, 2)


class StateChanges:
    """
    Collects when tasks of a run entered a state.

    The source is Airflow's audit log. Where it has no states, each poll compares the tasks with those of the last
    poll. Then the start and the end of a task are exact, and any other change is as late as the poll.
    """

    def __init__(self, run: DagRun) -> None:
        self._run = run
        self._polled: list[dict[str, Any]] = []
        self._states: dict[tuple[str, int], str | None] = {}
        self._started: set[tuple[str, int]] = set()

    @property
    def source(self) -> str:
        """Where the changes are from, for people."""
        return "Airflow's audit log" if AUDIT_LOG_HAS_STATES else "the states that we polled"

    def poll(self) -> list[dict[str, Any]]:
        """Return all changes as entries of the audit log."""
        if AUDIT_LOG_HAS_STATES:
            return self._run.events()
        for task in self._run.tasks():
            self._compare(task)
        return list(self._polled)

    def _compare(self, task: dict[str, Any]) -> None:
        key, state = (task["task_id"], task["map_index"]), task["state"]
        if state == self._states.get(key):
            return
        self._states[key] = state
        now = datetime.now(UTC).isoformat()
        if task["start_date"] and key not in self._started:
            self._started.add(key)
            self._add(key, "running", task["start_date"])
        elif state == "running":
            self._add(key, "running", now)
        if state and state != "running":
            self._add(key, state, task["end_date"] if state in FINISHED else now)

    def _add(self, key: tuple[str, int], state: str, when: str) -> None:
        self._polled.append({"task_id": key[0], "map_index": key[1], "event": state, "when": when})
