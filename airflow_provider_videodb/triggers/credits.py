"""Waits for credits, without a worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb.exceptions import VideoDBResponseError
from airflow_provider_videodb.hooks.arguments import parse_credits
from airflow_provider_videodb.triggers._base import BillingTrigger, Watch
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.triggers._base import WaitArguments

#: Largest usage, in bytes. Each of ten thousand events holds a copy.
MAX_USAGE_BYTES = 64 * 1024


def fetch_usage(client: BillingClient) -> Usage:
    """
    Read balance and usage.

    :raises VideoDBResponseError: if the usage is too large for an event.
    """
    usage = client.get_usage()
    size = len(json.dumps(usage.to_dict()))
    if size > MAX_USAGE_BYTES:
        raise VideoDBResponseError(
            f"VideoDB's breakdown of the usage has {size} bytes, and an event has room for {MAX_USAGE_BYTES} bytes. "
            "The balance was not compared. Next step: report the response to VideoDB's support."
        )
    return usage


class CreditThresholdTrigger(BillingTrigger):
    """
    Fires when the balance reaches a number of credits.

    The other parameters are those of :class:`BillingTrigger`.

    :param threshold: credits, a number or a string that spells one, because templates render to strings.
    :param end_from_trigger: end the task in the triggerer instead of in a worker.
    :param soft_fail: with ``end_from_trigger``, skip the task at the deadline.
    """

    def __init__(
        self,
        *,
        threshold: float | str,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
        **wait: Unpack[WaitArguments],
    ) -> None:
        super().__init__(**wait)
        self.threshold = threshold
        self.end_from_trigger = end_from_trigger
        self.soft_fail = soft_fail
        self._latest: Usage | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {
            "threshold": self.threshold,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }

    def watches(self) -> Sequence[Watch]:
        """Poll the balance and compare it with the threshold."""
        needed = parse_credits("threshold", self.threshold)

        def on_usage(usage: Usage) -> dict[str, Any] | None:
            self._latest = usage
            return {"status": EventStatus.ENOUGH, **self.event_payload()} if usage.covers(needed) else None

        return [Watch(fetch_usage, on_usage, self._forget_usage)]

    def event_payload(self) -> dict[str, Any]:
        """Return the latest usage of the account."""
        return {"usage": None if self._latest is None else self._latest.to_dict()}

    def to_trigger_event(self, event: dict[str, Any]) -> TriggerEvent:
        """End the task here if the author asked for it and no error has to be raised."""
        if self.end_from_trigger and event["status"] == EventStatus.ENOUGH:
            return TaskSuccessEvent(xcoms={"return_value": event["usage"]})
        if self.end_from_trigger and self.soft_fail and event["status"] == EventStatus.TIMEOUT:
            return TaskSkippedEvent()
        return super().to_trigger_event(event)

    def _forget_usage(self) -> None:
        self._latest = None
