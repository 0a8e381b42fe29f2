"""What a task or trigger can ask Airflow while it holds credits, kept in memory."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.records import NOBODY, PREFIX, Flag, Kind, parse_key
from tests.support.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class AirflowChannel(Variables):
    """
    The channel of a task or trigger: Variables, states of runs and tasks, XComs.

    :param ended_runs: the ids of the DAG runs that have ended.
    :param task_states: the states of the tasks, by id. A task without an entry is running.
    :param refused: types of questions that Airflow cannot serve.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ended_runs: set[str] = set()
        self.task_states: dict[str, str | None] = {}
        self.refused: set[str] = set()
        self.on_refusal: Callable[[Any], object] = lambda _question: None
        self.xcoms: list[tuple[str, str, Any]] = []
        #: Whether two questions were asked at the same time.
        self.was_crossed = False
        self._one = threading.Lock()

    def send(self, question: Any) -> Any:
        name = type(question).__name__
        if not self._one.acquire(blocking=False):
            self.was_crossed = True
            self._one.acquire()
        try:
            if name in self.refused:
                self.asked.append(question)
                self.on_refusal(question)
                raise RuntimeError(f"{name}: Airflow is away")
            return self._serve(name, question)
        finally:
            self._one.release()

    def _serve(self, name: str, question: Any) -> Any:
        from airflow.sdk.execution_time.comms import DRCount, TaskStatesResult

        if name == "MaskSecret":
            return None
        if name == "GetDRCount":
            self.asked.append(question)
            return DRCount(count=sum(run not in self.ended_runs for run in question.run_ids))
        if name == "GetTaskStates":
            self.asked.append(question)
            states = {task: self.task_states.get(task, "running") for task in question.task_ids}
            return TaskStatesResult(task_states=dict.fromkeys(question.run_ids, states))
        if name == "SetXCom":
            self.asked.append(question)
            self.xcoms.append((question.task_id, question.key, question.value))
            return None
        return super().send(question)

    def put(
        self,
        kind: Kind,
        credits: str,
        *,
        task_id: str = "job_gate",
        run_id: str = "other_run",
        try_id: str = "0123456789ab",
        account: str = "videodb_default",
        ms: int = 1,
        priority: int = 0,
    ) -> Flag:
        """Record a flag of another task, and return it."""
        who = Identity(
            dag_id="other", run_id=run_id, task_id=task_id, map_index=-1, try_number=1, settlement_ms=1_200_000
        )
        holder = NOBODY if kind is Kind.PAUSED else who.holder
        flag = Flag(
            account=account, holder=holder, try_id=try_id, kind=kind, credits=Decimal(credits), ms=ms, priority=priority
        )
        self.kept[flag.key] = who.to_text()
        return flag

    @property
    def flags(self) -> list[Flag]:
        """The flags of all accounts."""
        return [flag for key in sorted(self.kept) if (flag := parse_key(key)) is not None]

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of all flags, sorted by key."""
        return [flag.kind for flag in self.flags]

    def count(self, name: str, *, prefix: str = "") -> int:
        """Return how many questions of a type were asked, about keys with this prefix."""
        return sum(_is_about(question, name, prefix) for question in list(self.asked))

    def listings(self) -> int:
        """Return how often the flags were listed."""
        return self.count("GetVariableKeys", prefix=PREFIX)


def a_task(task_id: str = "gate", *, dag_id: str = "dag", run_id: str = "run", try_number: int = 1) -> Any:
    """Return a task instance, as a worker or a triggerer has it."""
    pushed: Iterable[Any] = []
    ti = SimpleNamespace(
        id=f"0192-{dag_id}-{run_id}-{task_id}-{try_number:012d}",
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=-1,
        try_number=try_number,
        pushed=pushed,
        get_first_reschedule_date=lambda _: None,
    )
    ti.xcom_push = lambda key, value: ti.pushed.append((key, value))
    return ti


def _is_about(question: Any, name: str, prefix: str) -> bool:
    about = getattr(question, "prefix", None) or getattr(question, "key", "")
    return type(question).__name__ == name and str(about).startswith(prefix)
