"""
The arguments that the sensor passes to its trigger.

Loaded when a DAG file is parsed.
"""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.triggers.base import StartTriggerArgs

    from airflow_provider_videodb.sensors.credits import CreditThresholdSensor


def can_start_in_triggerer(sensor: CreditThresholdSensor) -> bool:
    """Say whether the wait can begin without a worker."""
    return sensor.get_closest_mapped_task_group() is None and all(
        isinstance(value, str | Number) or _is_plain_output(value)
        for value in (sensor.threshold, sensor.videodb_conn_id)
    )


def start_arguments(sensor: CreditThresholdSensor, *, timeout: timedelta) -> StartTriggerArgs:
    """Return the arguments of a wait without a worker."""
    from airflow.triggers.base import StartTriggerArgs

    from airflow_provider_videodb.triggers.events import FORMAT

    return StartTriggerArgs(
        trigger_cls="airflow_provider_videodb.triggers.credits.CreditThresholdTrigger",
        trigger_kwargs={"format": FORMAT, **trigger_arguments(sensor)},
        next_method="execute_complete",
        timeout=timeout,
    )


def trigger_arguments(sensor: CreditThresholdSensor) -> dict[str, Any]:
    """Return the arguments that depend on the DAG file only."""
    return {
        # A plain XComArg becomes the template that pulls it.
        "threshold": str(sensor.threshold),
        "videodb_conn_id": str(sensor.videodb_conn_id),
        "poll_interval": sensor.poke_interval,
        "timeout": sensor.timeout,
        "max_consecutive_failures": sensor.max_consecutive_failures,
        "end_from_trigger": sensor.end_from_trigger,
        "soft_fail": sensor.soft_fail,
        "gate": _gate_without_place(sensor),
    }


def _gate_without_place(sensor: CreditThresholdSensor) -> dict[str, Any] | None:
    """
    Return the gate of a task without a place in the queue.

    No worker has run yet. The keys are those of the trigger's ``WaitingGate``, which is too slow to import here.
    """
    if not VARIABLES_CAN_BE_LISTED or not (sensor.respect_holds or sensor.hold is True):
        return None
    return {
        "holds": sensor.hold is True,
        "priority": sensor.priority,
        "needs_place": sensor.hold is True,
        "decides_in_worker": bool(sensor.hold),
        "respects_holds": sensor.respect_holds,
    }


def _is_plain_output(value: object) -> bool:
    # Airflow writes the key into a template, which a quote in the key would break.
    return isinstance(value, PlainXComArg) and repr(value.key) == f"'{value.key}'"
