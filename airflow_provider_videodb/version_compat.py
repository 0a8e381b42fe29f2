"""The Airflow version, and names that moved between versions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

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
    "LISTED_REQUESTS_FIT_A_PHONE",
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
    "load_stats",
]

_major, _minor = version("apache-airflow-core").split(".")[:2]
_VERSION = (int(_major), int(_minor))

#: Airflow 3.3 has a task state store that survives a cleared task. 3.2 has none, and 3.4 empties it.
STATE_STORE_OUTLIVES_CLEAR = _VERSION == (3, 3)

#: Before 3.3, a task cannot list Variables.
VARIABLES_CAN_BE_LISTED = _VERSION >= (3, 3)

#: Before 3.3, a response in Required Actions resumes no deferred task. Its trigger has to read the response.
RESPONSES_RESUME_TASKS = _VERSION >= (3, 3)

#: Before 3.3, the list of Required Actions opens a request on the page of its task only, which no phone shows.
LISTED_REQUESTS_FIT_A_PHONE = _VERSION >= (3, 3)


def load_stats() -> Any:
    """
    Return Airflow's ``Stats``.

    Airflow 3.2 and later have two of them, one for the core and one for tasks. Only the second is set up in workers
    and triggerers alike, by the import of ``airflow.sdk.serde``.
    """
    try:
        import airflow.sdk.serde  # noqa: F401 - sets up Stats
        from airflow.sdk.observability.stats import Stats
    except ImportError:  # Airflow 3.1
        from airflow.stats import Stats
    return Stats
