"""Everything one emulator holds, behind one lock."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.clock import Clock
from airflow_provider_videodb.emulator.account.ledger import Ledger
from airflow_provider_videodb.emulator.account.library import Library
from airflow_provider_videodb.emulator.control.calls import CallLog
from airflow_provider_videodb.emulator.faults.faults import FaultBoard
from airflow_provider_videodb.emulator.faults.list_faults import ListFaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.emulator.settings import Settings


class EmulatorState:
    """
    Clock, ledger, library, faults, faults of the list and call log.

    Hold `lock` while touching any of them, and never across an await.

    `changed` is a condition on that lock, notified after every call that was logged or finished.
    """

    def __init__(self, settings: Settings) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.bell = Wakeups()
        self.base_url = ""
        self._initial = settings
        self._begin()

    def _begin(self) -> None:
        self.clock = Clock()
        self.ledger = Ledger(self.clock.now, self._initial)
        self.library = Library(self.ledger)
        self.faults = FaultBoard()
        self.list_faults = ListFaults()
        self.calls = CallLog()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.ledger.settings

    def change_settings(self, settings: Settings) -> None:
        """Put other settings in force."""
        self.ledger.settings = settings
        self.bell.ring()

    def reset(self) -> None:
        """Return to the state right after the start; calls that are held are let go."""
        self.faults.clear()
        self._begin()
        self.bell.ring()


class Wakeups:
    """Wakes coroutines that wait for emulator time or for a fault to be cleared; rung from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def ring(self) -> None:
        """Set the event of every listener."""
        with self._lock:
            for loop, event in self._listeners:
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the bell rings; clear it before looking at what is waited for."""
        listener = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners.discard(listener)
