"""
The trigger behind the assets for credits.

A DAG file loads this module while it is parsed, so the work is in :mod:`._credit_watch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_videodb.triggers.events import FORMAT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class CreditWatchTrigger(BaseEventTrigger):
    """
    Watches one account for one asset, and never ends.

    Airflow starts a watcher's trigger again at once when it ends. So it logs a failure and continues.
    Unknown arguments are ignored, because another version may have stored them.

    :param name: name of the asset. What the watcher remembers is stored under it.
    :param kind: ``low`` or ``back``.
    :param below: credits are low below this balance.
    :param back_at: credits are back at this balance.
    :param warn_hours: how far ahead the watcher warns; ``None`` if it does not.
    :param videodb_conn_id: id of the Airflow connection, which keeps the API key.
    :param poll_interval: seconds between polls.
    """

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        below: float,
        back_at: float | None,
        warn_hours: float | None,
        videodb_conn_id: str,
        poll_interval: float,
        **_unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not annotated
        self.name = name
        self.kind = kind
        self.below = below
        self.back_at = back_at
        self.warn_hours = warn_hours
        self.videodb_conn_id = videodb_conn_id
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "format": FORMAT,
                "name": self.name,
                "kind": self.kind,
                "below": self.below,
                "back_at": self.back_at,
                "warn_hours": self.warn_hours,
                "videodb_conn_id": self.videodb_conn_id,
                "poll_interval": self.poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event whenever the level changes."""
        from airflow_provider_videodb.triggers._credit_watch import CreditWatch

        async for event in CreditWatch(self).run():
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's class is not annotated
