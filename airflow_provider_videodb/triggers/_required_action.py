"""
Attends to a task's Required Action during the wait.

From Airflow 3.3 on, a response resumes a deferred task at once, whatever its trigger. A response may come before the
task is deferred, so the trigger reads it once when it starts. In earlier versions, the trigger has to read each
response.
"""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.purchases.rules.required_action import OVER
from airflow_provider_videodb.purchases.variables import ask_airflow, describe_cause
from airflow_provider_videodb.version_compat import RESPONSES_RESUME_TASKS

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from uuid import UUID

log = logging.getLogger(__name__)

#: Seconds between two reads of the response, at least. Airflow's own trigger reads that often.
_SHORTEST_INTERVAL = 5.0
#: Requests under way. The event loop alone does not keep them alive.
_requests: set[asyncio.Future[Any]] = set()


class ActionState(StrEnum):
    """What a trigger does about its task's request."""

    #: A person may respond.
    OPEN = "open"
    #: Nobody has to respond now, so the request must not look open.
    OVER = "over"


async def first_event(
    wait: Coroutine[Any, Any, dict[str, Any]], *, ti_id: UUID, state: str, interval: float
) -> dict[str, Any]:
    """
    Return the first event: the wait's, or a response.

    A request never fails a wait, and never delays its event.

    :param wait: ends with the event.
    :param state: an :class:`ActionState`.
    :param interval: seconds between two polls of the account.
    """
    waiting = asyncio.ensure_future(wait)
    attending = asyncio.ensure_future(_attend(ti_id, state, interval=max(interval, _SHORTEST_INTERVAL)))
    try:
        await asyncio.wait((waiting, attending), return_when=asyncio.FIRST_COMPLETED)
        # What is paid is paid, so the event of the wait comes first.
        if not waiting.done() and (response := attending.result()) is not None:
            return response
        return await waiting
    finally:
        waiting.cancel()
        attending.cancel()
        await asyncio.gather(waiting, attending, return_exceptions=True)


async def _attend(ti_id: UUID, state: str, *, interval: float) -> dict[str, Any] | None:
    # A newer version may know more states.
    match state:
        case ActionState.OPEN:
            return await _await_response(ti_id, interval=interval)
        case ActionState.OVER:
            await _close(ti_id)
    return None


async def _await_response(ti_id: UUID, *, interval: float) -> dict[str, Any] | None:
    """
    Return a person's response, if a trigger has to.

    :return: ``None`` if Airflow itself resumes the task with it.
    """
    while True:
        response = await _read_response(ti_id)
        if response is not None or RESPONSES_RESUME_TASKS:
            return response
        await asyncio.sleep(interval)


async def _read_response(ti_id: UUID) -> dict[str, Any] | None:
    from airflow.sdk.execution_time.comms import GetHITLDetailResponse

    try:
        detail = await _ask(GetHITLDetailResponse(ti_id=ti_id))
        chosen, user = list(detail.chosen_options or ()), detail.responded_by_user
        named = None if user is None else {"id": user.id, "name": user.name}
        at = None if detail.responded_at is None else detail.responded_at.isoformat()
        is_received = detail.response_received and chosen
    except Exception as err:  # noqa: BLE001 - a request must not end a wait for money
        log.warning("Airflow did not say whether somebody responded in Required Actions: %s", describe_cause(err))
        return None
    return {"chosen_options": chosen, "responded_by_user": named, "responded_at": at} if is_received else None


async def _close(ti_id: UUID) -> None:
    """Close the request, unless somebody has responded."""
    from airflow.sdk.execution_time.comms import UpdateHITLDetail

    try:
        await _ask(UpdateHITLDetail(ti_id=ti_id, chosen_options=[OVER], params_input={}))
    except Exception as err:  # noqa: BLE001 - most often there is no request, or somebody responded
        log.debug("Airflow closed no request of the task: %s", describe_cause(err))


async def _ask(message: Any) -> Any:
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    if hasattr(SUPERVISOR_COMMS, "start_reader"):
        return await asyncio.to_thread(ask_airflow, message)
    # Before Airflow 3.3, only the triggerer's event loop can use the channel. A cancelled request
    # would leave its response to the next one, so the end of the wait does not cancel this request.
    request = asyncio.ensure_future(SUPERVISOR_COMMS.asend(message))
    _requests.add(request)
    request.add_done_callback(_forget)
    return await asyncio.shield(request)


def _forget(request: asyncio.Future[Any]) -> None:
    _requests.discard(request)
    if not request.cancelled():
        # asyncio logs an exception that nobody has retrieved.
        request.exception()
