"""
The event that a trigger sends to its task.

The database keeps trigger arguments and events while a task waits, so another version of this package may read them.
Both carry the number of their format. A newer format only adds optional fields, and every version ignores fields that
it does not know. A field whose meaning changes gets a new name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.api.parsing import TOO_LARGE
from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.triggers._encoding import clean, describe, plain

#: Format of trigger arguments and events.
FORMAT = 1


class EventStatus(StrEnum):
    """How a wait ended."""

    ENOUGH = "enough"
    #: A worker has to decide whether the gate may open now.
    MAY_OPEN = "may_open"
    #: The gate lacks credits that the task has to buy.
    SHORT = "short"
    PAID = "paid"
    #: A worker has to remind people of the payment. The wait continues afterwards.
    REMIND = "remind"
    TIMEOUT = "timeout"
    ERROR = "error"


def checked_event(event: object, *expected: EventStatus, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """
    Return the event that a trigger sent to its task.

    :param expected: how the wait may have ended; an error is always expected.
    :param needs: the fields without which the task cannot continue. A balance that was enough always needs ``usage``.
    :raises VideoDBError: if the trigger met an error, in the class of that error; also if this version does not know
        the event, because an unknown event must not pass for success.
    """
    if isinstance(event, Mapping):
        status = event.get("status")
        required = (*needs, "usage") if status == EventStatus.ENOUGH else needs
        if status in expected and all(event.get(name) is not None for name in required) and _has_sound_usage(event):
            return dict(event)
        if status == EventStatus.ERROR:
            raise _error_class(event.get("error"))(event.get("message"))
    raise VideoDBError(
        f"The trigger sent {str(event)[:200]!r}, which is not an event that this task expects. The task did not "
        "continue. Next step: install the same version of this package on workers and triggerers, then retry the task."
    )


def _has_sound_usage(event: Mapping[str, Any]) -> bool:
    """Say whether a usage in the event has a balance."""
    usage = event.get("usage")
    if usage is None:
        return True
    balance = usage.get("credit_balance") if isinstance(usage, Mapping) else None
    # NaN is not within bounds either.
    return isinstance(balance, int | float) and not isinstance(balance, bool) and -TOO_LARGE < balance < TOO_LARGE


def gate_result(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a gate that holds nothing, from the event of its trigger."""
    usage = event["usage"]
    return {**usage, "held": 0, "balance": usage["credit_balance"], "available": event.get("available")}


def error_event(err: BaseException) -> dict[str, Any]:
    """
    Return the event that raises ``err`` in the task.

    The task raises the nearest public class, so a private subclass arrives as its public base.
    """
    public = (cls.__name__ for cls in type(err).__mro__ if getattr(exceptions, cls.__name__, None) is cls)
    return {
        "status": EventStatus.ERROR,
        "error": next(public, clean(type(err).__name__)),
        "message": describe(err),
    }


def sendable(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with its format, as Airflow can encode it."""
    try:
        return dict(plain({"format": FORMAT, **event}))
    except Exception as err:  # noqa: BLE001 - the task is told of every error
        return dict(plain({"format": FORMAT, **error_event(_not_sendable(event, err))}))


def _not_sendable(event: dict[str, Any], err: Exception) -> VideoDBError:
    return exceptions.VideoDBResponseError(
        f"The wait ended ({event.get('status')}), but Airflow cannot encode what VideoDB sent: {describe(err)}. "
        "The task did not continue. Next step: retry the task. If it fails again, report it to the maintainers of "
        "airflow-provider-videodb."
    )


def _error_class(name: object) -> type[VideoDBError]:
    found = getattr(exceptions, str(name), None)
    return found if isinstance(found, type) and issubclass(found, VideoDBError) else VideoDBError
