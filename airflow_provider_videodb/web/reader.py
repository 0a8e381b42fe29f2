"""
Reads VideoDB for the page, and rarely.

The threads that serve the page also serve the rest of Airflow's UI. So none of them waits long for VideoDB. A thread of
this module sends the request, and the page gets what was read before.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError
from airflow_provider_videodb.hooks.billing import poll_client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.hooks.connection import ConnectionSettings

#: Seconds for which a part counts as fresh.
MAX_AGE = 30.0
#: Longest time for one response, in seconds. A connection may allow an hour, which suits a task and not a page.
LONGEST_TIMEOUT = 10.0
#: How many requests to VideoDB run at the same time, for all connections together.
_AT_ONCE = 8
_INVOICES = 12

#: What the page reads of an account. Each part fails separately.
READS: Mapping[str, Callable[[BillingClient], Any]] = {
    "usage": lambda client: client.get_usage(),
    "checkouts": lambda client: client.poll_checkouts(),
    "invoices": lambda client: client.list_invoices(_INVOICES),
    "auto_recharge": lambda client: client.get_auto_recharge(),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """
    One thing that was read of an account.

    :param value: what was read last; ``None`` if nothing was.
    :param read_at: when that was.
    :param error: why the latest read failed; ``None`` if it did not.
    :param is_reading: whether a read is on its way.
    """

    value: Any = None
    read_at: datetime | None = None
    error: Exception | None = None
    is_reading: bool = False


@dataclass(slots=True)
class _Reading:
    client: BillingClient
    part: Part = field(default_factory=Part)
    due_at: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)


class Reader:
    """
    The latest values of each connection.

    :param max_age: seconds after which a part is read again.
    """

    def __init__(self, *, max_age: float = MAX_AGE) -> None:
        self._max_age = max_age
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._accounts: dict[str, tuple[ConnectionSettings, dict[str, _Reading]]] = {}

    def read(self, conn_id: str, settings: ConnectionSettings, *, wait: float) -> dict[str, Part]:
        """
        Return what is known, and refresh old parts.

        :param settings: the connection. What was read with other settings does not count.
        :param wait: seconds for which this waits for reads that are on their way.
        """
        ends = time.monotonic() + wait
        with self._lock:
            readings = self._readings(conn_id, settings)
            for name, reading in readings.items():
                if not reading.part.is_reading and time.monotonic() >= reading.due_at:
                    self._start(name, reading)
        for reading in readings.values():
            reading.done.wait(max(0.0, ends - time.monotonic()))
        with self._lock:
            return {name: reading.part for name, reading in readings.items()}

    def _readings(self, conn_id: str, settings: ConnectionSettings) -> dict[str, _Reading]:
        known = self._accounts.get(conn_id)
        if known is not None and known[0] == settings:
            return known[1]
        bounded = replace(settings, timeout=min(settings.timeout, LONGEST_TIMEOUT))
        # Each part has its own client, because a client is for one thread at a time.
        readings = {name: _Reading(client=poll_client(bounded)) for name in READS}
        self._accounts[conn_id] = settings, readings
        return readings

    def _start(self, name: str, reading: _Reading) -> None:
        reading.done.clear()
        reading.part = replace(reading.part, is_reading=True)
        # A daemon, so that a slow VideoDB does not delay the end of the API server.
        threading.Thread(target=self._run, args=(name, reading), name=f"videodb-{name}", daemon=True).start()

    def _run(self, name: str, reading: _Reading) -> None:
        pause = self._max_age
        try:
            with self._slots:
                value = READS[name](reading.client)
            part = Part(value=value, read_at=datetime.now(UTC))
        except Exception as err:
            if not isinstance(err, VideoDBError):
                log.exception("The credits page could not read %s from VideoDB.", name)
            pause = max(pause, getattr(err, "retry_after", None) or 0.0)
            part = replace(reading.part, error=err, is_reading=False)
        with self._lock:
            reading.part, reading.due_at = part, time.monotonic() + pause
        reading.done.set()
