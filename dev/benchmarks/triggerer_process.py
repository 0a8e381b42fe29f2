"""
The measured process: Airflow's `TriggerRunner` with a probe.

As in a real triggerer, its standard input is the socket to the supervisor. Its log lines are rendered and then
discarded.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from unittest import mock

import psutil
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.execution_time.supervisor import _configure_logs_over_json_channel

from dev.benchmarks.children import allow_many_connections, reply_to_commands
from dev.benchmarks.triggers import IdleTrigger

if TYPE_CHECKING:
    from airflow.jobs.triggerer_job_runner import TriggerEventEntry

#: When set, `gc.disable()` has no effect.
COLLECTOR_VARIABLE = "BENCH_KEEP_COLLECTOR"
_TIMER_SECONDS = 0.005


class _Events(deque["TriggerEventEntry"]):
    """The runner's events, and the time of the last."""

    last: float | None = None

    def append(self, entry: TriggerEventEntry) -> None:
        self.last = time.monotonic()
        super().append(entry)


class _Runner(TriggerRunner):
    """Airflow's runner, which also replies to our commands."""

    def __init__(self, channel: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's class is not annotated
        self.events = self._events = _Events()
        self._channel = channel
        self._longest_block = 0.0
        self._process = psutil.Process()

    async def init_comms(self) -> None:
        await super().init_comms()  # type: ignore[no-untyped-call]
        commands = {
            "usage": self._usage,
            "memory": self._memory,
            "watch_loop": self._watch_loop,
            "longest_block": self._stop_watching,
            "wake_all": IdleTrigger.wake_all,
        }
        self._probe = asyncio.create_task(reply_to_commands(self._channel, commands))

    def _usage(self) -> dict[str, Any]:
        return {
            "at": time.monotonic(),
            "cpu": time.process_time(),
            "waiting": len(self.triggers),
            "last_event": self._events.last,
        }

    def _memory(self) -> int:
        # Otherwise the figure depends on when the collector last ran.
        gc.collect()
        resident: int = self._process.memory_info().rss
        return resident

    def _watch_loop(self) -> None:
        self._watcher = asyncio.create_task(self._measure_blocks())

    async def _stop_watching(self) -> float:
        self._watcher.cancel()
        await asyncio.wait([self._watcher])
        return self._longest_block

    async def _measure_blocks(self) -> None:
        self._longest_block = 0.0
        while True:
            due = time.monotonic() + _TIMER_SECONDS
            await asyncio.sleep(_TIMER_SECONDS)
            self._longest_block = max(self._longest_block, time.monotonic() - due)


if __name__ == "__main__":
    if COLLECTOR_VARIABLE in os.environ:
        mock.patch.object(gc, "disable").start()
    allow_many_connections()
    _configure_logs_over_json_channel(os.open(os.devnull, os.O_WRONLY))
    _Runner(int(sys.argv[1])).run()  # type: ignore[no-untyped-call]
