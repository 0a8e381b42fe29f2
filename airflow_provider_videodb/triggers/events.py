"""What a trigger tells its task, and what the task makes of it. Unknown is an error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.exceptions import VideoDBError


class EventStatus(StrEnum):
    """How a wait ended."""

    ENOUGH = "enough"
    PAID = "paid"
    TIMEOUT = "timeout"
    ERROR = "error"


def checked_event(event: object, *expected: EventStatus) -> dict[str, Any]:
    """
    Return the event a trigger sent to its task.

    :param expected: how the wait may have ended, errors apart.
    :raises VideoDBError: the error that the trigger met, in its own class; or that the event is none of ours, since
        what is not understood must not pass for success.
    """
    if isinstance(event, Mapping):
        if event.get("status") in expected:
            return dict(event)
        if event.get("status") == EventStatus.ERROR:
            raise _error_class(event.get("error"))(event.get("message"))
    raise VideoDBError(f"The trigger sent {str(event)[:200]!r}, which is no event of this package. Retry the task.")


def error_event(err: Exception) -> dict[str, Any]:
    """Return the event that raises ``err`` in the task, in its own class and words."""
    message = str(err) if isinstance(err, VideoDBError) else f"{type(err).__name__}: {err}"
    return {"status": EventStatus.ERROR, "error": type(err).__name__, "message": message}


def _error_class(name: object) -> type[VideoDBError]:
    found = getattr(exceptions, str(name), None)
    return found if isinstance(found, type) and issubclass(found, VideoDBError) else VideoDBError
