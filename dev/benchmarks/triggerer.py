"""The supervisor of one measured triggerer: hands it tasks that wait, and receives their events."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import messages
from airflow.models.trigger import Trigger
from airflow.sdk.execution_time.comms import _ResponseFrame

from dev.airflow.processes import until
from dev.benchmarks.channel import Child
from dev.benchmarks.environment import with_connections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dev.benchmarks.contenders import StoredTrigger

#: How many waiting tasks the runner is handed in one message; it asks about once a second.
TASKS_PER_MESSAGE = 1000


class Triggerer:
    """
    One running triggerer process.

    Speaks the protocol that Airflow's `TriggerRunnerSupervisor` speaks, without a database behind it.
    """

    def __init__(self, child: Child, comms: socket.socket) -> None:
        self._child = child
        self._comms = comms
        self._to_create: deque[RunTrigger] = deque()
        self._handed_over = 0
        self.received: list[float] = []
        self.failures: list[Any] = []
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    def wait(self, triggers: Iterable[StoredTrigger], *, timeout: float) -> None:
        """Let that many more tasks wait, and return when all of them do."""
        workloads = [_workload(self._handed_over + place, stored) for place, stored in enumerate(triggers, start=1)]
        self._handed_over += len(workloads)
        self._to_create.extend(workloads)
        until(self._all_wait, timeout=timeout, what=f"{self._handed_over} tasks to wait")

    def _all_wait(self) -> bool:
        if self.failures:
            raise RuntimeError("A trigger has failed instead.")
        return bool(self.usage()["waiting"] >= self._handed_over)

    def usage(self) -> dict[str, Any]:
        """Return what the process has used so far: CPU seconds, and when it emitted its last event."""
        usage: dict[str, Any] = self._child.ask("usage")
        return usage

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        resident: int = self._child.ask("memory")
        return resident

    def watch(self) -> None:
        """Begin to watch the event loop."""
        self._child.ask("watch")

    def gaps(self) -> dict[str, float]:
        """End it, and return how long the loop was blocked at worst."""
        gaps: dict[str, float] = self._child.ask("gaps")
        return gaps

    def let_go(self) -> float:
        """Let idle triggers fire, and return when the first was told."""
        began: float = self._child.ask("let_go")
        return began

    def events(self, count: int, *, timeout: float) -> bool:
        """Wait until the supervisor has so many events, and tell whether they came in time."""
        deadline = time.monotonic() + timeout
        while len(self.received) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return len(self.received) >= count

    def _supervise(self) -> None:
        try:
            self._send(_ResponseFrame(id=0, body={"type": "StartTriggerer"}))
            while True:
                number, body, *_ = msgspec.msgpack.decode(self._read(int.from_bytes(self._read(4), "big")))
                reply = self._sync(body) if body["type"] == "TriggerStateChanges" else None
                self._send(_ResponseFrame(id=number, body=reply))
        except (OSError, EOFError):
            # The process has ended, or the block that runs it.
            return

    def _sync(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        self.received += [time.monotonic()] * len(changes.get("events") or ())
        self.failures += changes.get("failures") or ()
        now = [self._to_create.popleft() for _ in range(min(len(self._to_create), TASKS_PER_MESSAGE))]
        return messages.TriggerStateSync(to_create=now, to_cancel=set()).model_dump()

    def _send(self, frame: Any) -> None:
        self._comms.sendall(frame.as_bytes())

    def _read(self, length: int) -> bytes:
        received = bytearray()
        while len(received) < length:
            part = self._comms.recv(length - len(received))
            if not part:
                raise EOFError
            received += part
        return bytes(received)


@contextmanager
def triggerer(logs: Path, *, connections: Mapping[str, Mapping[str, Any]]) -> Iterator[Triggerer]:
    """Run a triggerer process that knows these connections."""
    ours, theirs = socket.socketpair()
    env = with_connections(connections)
    with (
        ours,
        Child("benchmarks.triggerer_process", env=env, log_file=logs / "triggerer.log", stdin=theirs) as child,
    ):
        theirs.close()
        running = Triggerer(child, ours)
        running.usage()
        try:
            yield running
        except Exception as err:
            if running.failures:
                raise RuntimeError(f"A trigger failed: {running.failures[0]}") from err
            raise


def _workload(number: int, stored: StoredTrigger) -> RunTrigger:
    """Return what the supervisor sends for a task that was deferred."""
    classpath, arguments = stored
    return RunTrigger(
        id=number,
        classpath=classpath,
        encrypted_kwargs=Trigger.encrypt_kwargs(arguments),
        timeout_after=datetime.now(UTC) + timedelta(days=7),
        ti=TaskInstanceDTO(
            id=uuid4(),
            dag_version_id=uuid4(),
            task_id="enough_credits",
            dag_id="bench",
            run_id="manual__2026-01-01T00:00:00+00:00",
            try_number=1,
            map_index=number,
            pool_slots=1,
            priority_weight=1,
        ),
    )
