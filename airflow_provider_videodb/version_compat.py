"""Which Airflow this is, and what moved between two of them. Nothing else asks."""

from __future__ import annotations

from importlib.metadata import version

try:
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        TaskDeferralError,
        TaskDeferralTimeout,
        TaskDeferred,
    )
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[attr-defined, no-redef]  # mypy knows a newer Airflow only
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        TaskDeferralError,
        TaskDeferralTimeout,
        TaskDeferred,
    )

__all__ = [
    "STATE_STORE_OUTLIVES_CLEAR",
    "VARIABLES_CAN_BE_LISTED",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "TaskDeferred",
]

_major, _minor = version("apache-airflow-core").split(".")[:2]
_VERSION = (int(_major), int(_minor))

#: Below there is no task state store; from 3.4 on, a user who clears a task empties it.
STATE_STORE_OUTLIVES_CLEAR = _VERSION == (3, 3)

#: Below a task cannot list the Variables.
VARIABLES_CAN_BE_LISTED = _VERSION >= (3, 3)
