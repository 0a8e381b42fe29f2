"""Waiting for a balance on behalf of a task that may have bought what is missing."""

from __future__ import annotations

from typing import Any

from airflow_provider_videodb.triggers.billing import CheckoutTrigger, CreditThresholdTrigger


class EnsureCreditsTrigger(CreditThresholdTrigger):
    """
    Fires when the credit balance reaches a threshold, and brings back what the task knew when it began to wait.

    It shares its poll with the sensors of the same connection and interval.

    :param state: JSON values for the task, part of every event but an error.
    """

    def __init__(self, *, state: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state = state

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        return path, kwargs | {"state": self.state}

    def result(self) -> dict[str, Any]:
        """Return the usage seen last and what the task knew."""
        return super().result() | {"state": self.state}

    async def on_kill(self) -> None:
        """Have a last look when a user ends the wait, and say in the task's log what remains payable."""
        purchase = self.state["purchase"]
        if purchase is not None:
            await CheckoutTrigger(
                purchase=purchase, videodb_conn_id=self.videodb_conn_id, poll_interval=self.poll_interval
            ).on_kill()
