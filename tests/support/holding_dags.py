"""The parts of a DAG whose jobs run on a hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import task

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor
from tests.support.hold_flags import flags_in_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.holds.rules.records import Kind

#: The arguments of a gate that does not wait for long.
QUICK: dict[str, Any] = {"hold": True, "deferrable": False, "poke_interval": 0.1, "timeout": 3}


def gate_of(credits: float = 12, task_id: str = "credits", **arguments: Any) -> CreditThresholdSensor:
    return CreditThresholdSensor(task_id=task_id, threshold=credits, **QUICK | arguments)


def job_of(work: Callable[[], object] = lambda: None, task_id: str = "job", **arguments: Any) -> Any:
    return task(task_id=task_id, **arguments)(work)()


def flags() -> list[tuple[Kind, float]]:
    """Return kind and credits of all flags."""
    return sorted((flag.kind, float(flag.credits)) for flag in flags_in_database())


def fail() -> None:
    raise RuntimeError("the job failed")
