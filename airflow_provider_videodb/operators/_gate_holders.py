"""
Finds the holders that a task means by its gate.

Loaded when the task runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import holder_of, task_part

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


@dataclass(frozen=True, kw_only=True)
class GateHolders:
    """
    The holders of a gate in this DAG run.

    :param all: stands for all map indexes of the gate.
    :param same_index: stands for the map index of this task. Valid only if the gate is mapped in the same way.
    :param is_mapped: whether this task is one of several map indexes.
    :param shares_group: whether both are in the same mapped task group.
    :param pairs: whether both are mapped outside of a group, so that their map indexes may match.
    """

    all: str
    same_index: str
    is_mapped: bool
    shares_group: bool
    pairs: bool


def holders_of_gate(context: Context, gate: str) -> GateHolders:
    """
    Return the holders of a gate.

    :param gate: its task id.
    :raises VideoDBConfigError: if the DAG has no such task.
    """
    ti: Any = context["ti"]
    task: Any = context["task"]
    dag: Any = context["dag"]
    if not dag.has_task(gate):
        raise VideoDBConfigError(
            f"gate is {gate!r}, but DAG {ti.dag_id!r} has no such task. Nothing was released. Next step: give the "
            "whole task id of the gate, with its task groups."
        )
    group = task.get_closest_mapped_task_group()
    gate_task = dag.get_task(gate)
    gate_group = gate_task.get_closest_mapped_task_group()
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    return GateHolders(
        all=task_part(ti.dag_id, ti.run_id, gate),
        same_index=holder_of(ti.dag_id, ti.run_id, gate, ti.map_index),
        is_mapped=is_mapped,
        shares_group=is_mapped
        and group is not None
        and gate_group is not None
        and group.group_id == gate_group.group_id,
        pairs=is_mapped and group is None and gate_task.is_mapped,
    )
