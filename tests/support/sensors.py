"""Sensors in each mode, as a gate that holds credits."""

from __future__ import annotations

from typing import Any

from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

MODES: dict[str, dict[str, Any]] = {
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
    "deferrable": {"deferrable": True},
    "starts_in_trigger": {"deferrable": True, "start_from_trigger": True},
}


def sensor(mode: str = "deferrable", **arguments: Any) -> CreditThresholdSensor:
    usual = {"task_id": "gate", "threshold": 10, "poke_interval": 0.01, "timeout": 5, "hold": True}
    return CreditThresholdSensor(**usual | MODES[mode] | arguments)
