"""The state of one account."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.calls import CallLog
from airflow_provider_videodb.emulator.account.clock import Clock
from airflow_provider_videodb.emulator.account.jobs import Jobs
from airflow_provider_videodb.emulator.account.ledger import Ledger
from airflow_provider_videodb.emulator.faults.call_faults import FaultBoard
from airflow_provider_videodb.emulator.faults.list_faults import ListFaults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from airflow_provider_videodb.emulator.account.accounts import Accounts
    from airflow_provider_videodb.emulator.settings import Settings


class EmulatorState:
    """
    Clock, ledger, jobs, faults and call log.

    Hold `lock` while you touch any of them, but never across an await. `changed` is a condition on that lock. It is
    notified whenever a call is logged or its log entry changes.

    :param accounts: all accounts of the emulator. `Accounts.add` makes the states.
    """

    def __init__(self, name: str, settings: Settings, accounts: Accounts) -> None:
        self.name = name
        self.accounts = accounts
        self.lock = accounts.lock
        self.changed = threading.Condition(self.lock)
        self.wakeups = accounts.wakeups
        self.initial = settings
        self._begin()

    def _begin(self) -> None:
        self.clock = Clock()
        self.ledger = Ledger(self.clock.now, self.initial)
        self.jobs = Jobs(self.clock.now, self.ledger)
        self.faults = FaultBoard()
        self.list_faults = ListFaults()
        self.calls = CallLog()

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self.ledger.settings

    @property
    def base_url(self) -> str:
        """The address of the emulator, without a trailing slash."""
        return self.accounts.base_url

    def change_settings(self, changes: Mapping[str, Any]) -> Settings:
        """Check and change some settings."""
        settings = self.settings.changed(changes)
        self.accounts.check_key(self, settings.api_key)
        self.ledger.settings = settings
        return settings

    def reset(self) -> None:
        """Return to the state after the start and release held calls."""
        self.faults.clear()
        self._begin()
        self.wakeups.wake_all()


class Wakeups:
    """Wakes the coroutines that hold a call or wait for the end of a job, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def wake_all(self) -> None:
        """Set the event of every listener."""
        with self._lock:
            for loop, event in self._listeners:
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Event]:
        """Yield an event that `wake_all` sets. Clear it before you check the condition."""
        listener = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners.discard(listener)
