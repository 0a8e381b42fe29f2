"""Airflow's Variables, where one that is not there and one that could not be read are two things."""

from __future__ import annotations

from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError


def read_variable(key: str) -> str | None:
    """
    Return a Variable of Airflow's database, ``None`` if there is none.

    ``Variable.get`` takes an API server that does not answer for a Variable that is not there; what was bought before
    would then pass for nothing.

    :raises VideoDBRecordUnreadableError: if Airflow could not tell.
    """
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable, VariableResult
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    found = SUPERVISOR_COMMS.send(GetVariable(key=key))
    if isinstance(found, ErrorResponse) and found.error == ErrorType.VARIABLE_NOT_FOUND:
        return None
    if isinstance(found, VariableResult) and found.value is not None:
        return str(found.value)
    reason = found.error.value if isinstance(found, ErrorResponse) else "no value"
    raise VideoDBRecordUnreadableError(
        f"Airflow could not read its Variable {key!r} ({reason}), which may say what was bought before. Nothing was "
        "bought. Retry the task."
    )


def write_variable(key: str, value: str) -> None:
    """Write a Variable; when this returns, it is kept."""
    from airflow.providers.common.compat.sdk import Variable

    Variable.set(key, value)


def delete_variable(key: str) -> None:
    """Delete a Variable, if it is there."""
    from airflow.providers.common.compat.sdk import Variable

    Variable.delete(key)
