"""
The process that is measured: Airflow's own `TriggerRunner`, run as the triggerer runs it, with a probe in its loop.

Its standard input is the socket to the supervisor, as in a real triggerer; its log lines are rendered as there and
thrown away.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import psutil
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.execution_time.supervisor import _configure_logs_over_json_channel

from dev.benchmarks.channel import answer
from dev.benchmarks.environment import allow_many_connections
from dev.benchmarks.triggers import IdleTrigger

if TYPE_CHECKING:
    from airflow.jobs.triggerer_job_runner import TriggerEventEntry

#: How finely the event loop is watched.
_FINE = 0.005
#: How Airflow's own watchdog watches it.
_WATCHDOG = 0.1


class _Events(deque["TriggerEventEntry"]):
    """The events of a runner, and when the last of them was emitted."""

    last: float | None = None

    def append(self, entry: TriggerEventEntry) -> None:
        self.last = time.monotonic()
        super().append(entry)


class _Gaps:
    """The longest time that the event loop did not come back, while it is watched: watching has a price."""

    def __init__(self) -> None:
        self._longest = {_FINE: 0.0, _WATCHDOG: 0.0}
        self._tasks: list[asyncio.Task[None]] = []

    def watch(self) -> None:
        self._longest = dict.fromkeys(self._longest, 0.0)
        self._tasks = [asyncio.create_task(self._look(every)) for every in self._longest]

    async def stop(self) -> dict[str, float]:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        return {
            "blocked": max(self._longest[_FINE] - _FINE, 0.0),
            # What it compares with its threshold includes the time it meant to sleep.
            "watchdog": self._longest[_WATCHDOG],
        }

    async def _look(self, every: float) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(every)
            self._longest[every] = max(self._longest[every], time.monotonic() - before)


class _Runner(TriggerRunner):
    """Airflow's runner, which answers questions as soon as it is connected to its supervisor."""

    def __init__(self, channel: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's class is not annotated
        self.events = self._events = _Events()
        self._channel = channel
        self._gaps = _Gaps()
        self._process = psutil.Process()

    async def init_comms(self) -> None:
        await super().init_comms()  # type: ignore[no-untyped-call]
        self._probe = asyncio.create_task(
            answer(
                self._channel,
                {
                    "usage": self._usage,
                    "memory": self._memory,
                    "watch": self._gaps.watch,
                    "gaps": self._gaps.stop,
                    "let_go": IdleTrigger.let_go,
                },
            )
        )

    def _usage(self) -> dict[str, Any]:
        return {
            "at": time.monotonic(),
            "cpu": time.process_time(),
            "waiting": len(self.triggers),
            "last_event": self._events.last,
        }

    def _memory(self) -> int:
        # Otherwise the figure hangs on when the collector happened to run last.
        gc.collect()
        resident: int = self._process.memory_info().rss
        return resident


if __name__ == "__main__":
    allow_many_connections()
    _configure_logs_over_json_channel(os.open(os.devnull, os.O_WRONLY))
    _Runner(int(sys.argv[1])).run()  # type: ignore[no-untyped-call]
