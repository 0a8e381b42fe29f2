"""
Waiting without a worker: one poll of an account serves every task that waits on it.

All triggers that ask the same of one connection as often share one poll in their triggerer; each judges what the poll
sees for itself and keeps its own deadline.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb.exceptions import VideoDBResponseError
from airflow_provider_videodb.hooks.arguments import parse_credits
from airflow_provider_videodb.triggers._base import MAX_CONSECUTIVE_FAILURES, BillingTrigger, Watch
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.api.models import Usage

#: Bytes of what one look at the usage may see: every waiter's event holds a copy.
MAX_USAGE_BYTES = 64 * 1024


def read_usage(client: BillingClient) -> Usage:
    """
    Read balance and consumption.

    :raises VideoDBResponseError: if there is more of it than the events of ten thousand waiters can carry.
    """
    usage = client.get_usage()
    size = len(json.dumps(usage.to_dict()))
    if size > MAX_USAGE_BYTES:
        raise VideoDBResponseError(f"VideoDB's breakdown of the usage has {size} bytes, more than {MAX_USAGE_BYTES}.")
    return usage


class CreditThresholdTrigger(BillingTrigger):
    """
    Fires when the credit balance reaches a threshold.

    :param threshold: credits, as a number or a string that spells one (templates render to strings).
    :param end_from_trigger: end the task here instead of handing it to a worker.
    :param soft_fail: with ``end_from_trigger``: skip the task when the time is up.

    The other parameters are those of :class:`BillingTrigger`.
    """

    def __init__(
        self,
        *,
        threshold: float | str,
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        timeout: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        pause: dict[str, Any] | None = None,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
    ) -> None:
        super().__init__(
            videodb_conn_id=videodb_conn_id,
            poll_interval=poll_interval,
            deadline=deadline,
            timeout=timeout,
            max_consecutive_failures=max_consecutive_failures,
            pause=pause,
        )
        self.threshold = threshold
        self.end_from_trigger = end_from_trigger
        self.soft_fail = soft_fail
        self._last_seen: Usage | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {
            "threshold": self.threshold,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }

    def watches(self) -> Sequence[Watch]:
        """Watch the balance."""
        return [Watch(read_usage, self.judge, self._begin_to_watch)]

    def judge(self, seen: Usage) -> dict[str, Any] | None:
        """Compare the balance with the threshold: ten thousand of these make one step of the event loop."""
        self._last_seen = seen
        return {"status": EventStatus.ENOUGH, **self.result()} if seen.covers(self._needed) else None

    def result(self) -> dict[str, Any]:
        """Return the usage seen last."""
        return {"usage": None if self._last_seen is None else self._last_seen.to_dict()}

    def end_with(self, event: dict[str, Any]) -> TriggerEvent:
        """End the task from here where that is wished and needs no worker to raise anything."""
        if self.end_from_trigger and event["status"] == EventStatus.ENOUGH:
            return TaskSuccessEvent(xcoms={"return_value": event["usage"]})
        if self.end_from_trigger and self.soft_fail and event["status"] == EventStatus.TIMEOUT:
            return TaskSkippedEvent()
        return super().end_with(event)

    def _begin_to_watch(self) -> None:
        self._needed = parse_credits("threshold", self.threshold)
        self._last_seen = None
