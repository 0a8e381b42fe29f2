"""The Airflow version, and names that moved between versions."""

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
    "RESPONSES_RESUME_TASKS",
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

#: Airflow 3.3 has a task state store that survives a cleared task. 3.2 has none, and 3.4 empties it.
STATE_STORE_OUTLIVES_CLEAR = _VERSION == (3, 3)

#: Before 3.3, a task cannot list Variables.
VARIABLES_CAN_BE_LISTED = _VERSION >= (3, 3)

#: Before 3.3, a response in Required Actions resumes no deferred task. Its trigger has to read the response.
RESPONSES_RESUME_TASKS = _VERSION >= (3, 3)
