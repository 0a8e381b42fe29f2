"""What a trigger tells its task, and what the task makes of it. Unknown is an error."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.triggers._encoding import clean, describe, plain


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
    :raises VideoDBError: the error that the trigger met, in its own class; or that the event is not one of ours,
        since what is not understood must not pass for success.
    """
    if isinstance(event, Mapping):
        if event.get("status") in expected:
            return dict(event)
        if event.get("status") == EventStatus.ERROR:
            raise _error_class(event.get("error"))(event.get("message"))
    raise VideoDBError(f"The trigger sent {str(event)[:200]!r}, which is no event of this package. Retry the task.")


def error_event(err: BaseException) -> dict[str, Any]:
    """
    Return the event that raises ``err`` in the task, in its words.

    Its class is the nearest that the task knows: a private subclass arrives as what it is a kind of.
    """
    ours = (cls.__name__ for cls in type(err).__mro__ if getattr(exceptions, cls.__name__, None) is cls)
    return {
        "status": EventStatus.ERROR,
        "error": next(ours, clean(type(err).__name__)),
        "message": describe(err),
    }


def sendable(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as Airflow can encode it, or the error event that says why it cannot."""
    try:
        return dict(plain(event))
    except Exception as err:  # noqa: BLE001 - whatever it holds, the task is told
        return dict(plain(error_event(_not_sendable(event, err))))


def _not_sendable(event: dict[str, Any], err: Exception) -> VideoDBError:
    return exceptions.VideoDBResponseError(
        f"The wait ended ({event.get('status')}), but what it saw cannot be handed to the task: {describe(err)}. "
        "Retry the task; if this happens again, ask VideoDB's support about the answers of this account."
    )


def _error_class(name: object) -> type[VideoDBError]:
    found = getattr(exceptions, str(name), None)
    return found if isinstance(found, type) and issubclass(found, VideoDBError) else VideoDBError
