"""A task of a DAG run that releases or needs a hold, without Airflow's database."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from airflow.sdk.execution_time.comms import (
    GetTaskStates,
    InactiveAssetsResult,
    TaskStatesResult,
    ValidateInletsAndOutlets,
)

from airflow_provider_videodb.holds import journal
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.records import PREFIX, Flag, Kind, parse_key
from tests.support.variables import Variables

LOG = "tests.releases"


@dataclass(frozen=True, kw_only=True)
class TaskInstance:
    """What a task knows of itself."""

    task_id: str
    map_index: int = -1
    dag_id: str = "dag"
    run_id: str = "run"
    try_number: int = 1
    id: UUID = field(default=UUID(int=1))


class Worker(Variables):
    """
    Airflow, as its API server tells a worker of it.

    :param state: of the task that asks.
    """

    def __init__(self, state: str = "running") -> None:
        super().__init__()
        self.state = state

    def send(self, question: Any) -> Any:
        match question:
            case GetTaskStates(task_ids=[task_id], run_ids=[run_id], map_index=index):
                self.asked.append(question)
                name = task_id if index is None else f"{task_id}_{index}"
                return TaskStatesResult(task_states={run_id: {name: self.state}})
            case ValidateInletsAndOutlets():
                return InactiveAssetsResult(inactive_assets=[])
        return super().send(question)

    def hold(
        self, credits: int = 12, *, task_id: str = "credits", index: int = -1, account: str = "a", minutes: int = 20
    ) -> Flag:
        """Put up the flag of a gate."""
        who = Identity(
            dag_id="dag", run_id="run", task_id=task_id, map_index=index, try_number=1, settlement_ms=minutes * 60_000
        )
        flag = Flag(
            account=account,
            holder=who.holder,
            try_id="t1",
            kind=Kind.HELD,
            credits=Decimal(credits),
            ms=1_768_478_400_000,
        )
        self.kept[flag.key] = json.dumps(asdict(who))
        return flag

    def flags(self) -> list[Flag]:
        return [flag for key in sorted(self.kept) if key.startswith(PREFIX) and (flag := parse_key(key)) is not None]

    def shown(self) -> list[tuple[Kind, int]]:
        return sorted((flag.kind, int(flag.credits)) for flag in self.flags())

    def notes(self) -> list[dict[str, Any]]:
        return [json.loads(text) for key, text in sorted(self.kept.items()) if key.startswith(journal.PREFIX)]


def context_of(task: Any, *, map_index: int = -1, next_method: str | None = None) -> Any:
    """Return the context of a task."""
    ti: Any = TaskInstance(task_id=task.task_id, map_index=map_index)
    if next_method is not None:
        ti = SimpleNamespace(**asdict(ti), _ti_context_from_server=SimpleNamespace(next_method=next_method))
    return {"ti": ti, "task": task, "dag": task.dag}


def logger() -> logging.Logger:
    return logging.getLogger(LOG)
