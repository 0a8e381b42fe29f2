"""The supervisor of one measured triggerer process."""

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
from airflow.sdk.execution_time.comms import (
    DRCount,
    TaskStatesResult,
    VariableKeysResult,
    VariableResult,
    _ResponseFrame,
)

from airflow_provider_videodb.holds.identity import Identity
from dev.airflow.processes import until
from dev.benchmarks.children import Child, with_connections
from dev.benchmarks.triggerer_process import COLLECTOR_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from dev.benchmarks.contenders import StoredTrigger

#: Whose holds and waits the Variables describe.
_HOLDER = Identity(
    dag_id="bench",
    run_id="manual__2026-01-01T00:00:00+00:00",
    task_id="enough_credits",
    map_index=-1,
    try_number=1,
    settlement_ms=1_200_000,
)
#: The runner asks for triggers about once a second, and gets this many at most.
TASKS_PER_MESSAGE = 1000


class Triggerer:
    """
    One running triggerer process.

    It speaks the protocol of Airflow's `TriggerRunnerSupervisor`, without a database.

    :param child: the process, for the commands of `triggerer_process`.
    :param comms: the socket to its `TriggerRunner`.
    """

    def __init__(self, child: Child, comms: socket.socket) -> None:
        self.ask = child.ask
        #: When each event arrived here, on the machine's monotonic clock.
        self.received: list[float] = []
        self.failures: list[Any] = []
        #: Keys of Airflow's Variables, and when each listing of them arrived.
        self.keys: list[str] = []
        self.listings: list[float] = []
        self._comms = comms
        self._to_create: deque[RunTrigger] = deque()
        self._started = 0
        threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()

    def start(self, triggers: Iterable[StoredTrigger], *, timeout: float) -> None:
        """Start triggers and wait until all of them run."""
        workloads = [_workload(self._started + place, stored) for place, stored in enumerate(triggers, start=1)]
        self._started += len(workloads)
        self._to_create.extend(workloads)
        until(self._all_wait, timeout=timeout, what=f"{self._started} tasks to wait")

    def _all_wait(self) -> bool:
        if self.failures:
            raise RuntimeError(f"A trigger failed: {self.failures[0]}")
        return bool(self.ask("usage")["waiting"] >= self._started)

    def _supervise(self) -> None:
        try:
            self._send(_ResponseFrame(id=0, body={"type": "StartTriggerer"}))
            while True:
                number, body, *_ = msgspec.msgpack.decode(self._read(int.from_bytes(self._read(4), "big")))
                self._send(_ResponseFrame(id=number, body=self._reply(body)))
        except (OSError, EOFError):
            # The process was killed at the end of its measurement.
            return

    def _reply(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        match body["type"]:
            case "TriggerStateChanges":
                return self._sync(body)
            case "GetVariableKeys":
                self.listings.append(time.monotonic())
                keys = [key for key in self.keys if key.startswith(body["prefix"])]
                return VariableKeysResult(keys=keys, total_entries=len(keys)).model_dump()
            case "GetVariable":
                return VariableResult(key=body["key"], value=_HOLDER.to_text()).model_dump()
            case "GetDRCount":
                return DRCount(count=1).model_dump()
            case "GetTaskStates":
                return TaskStatesResult(task_states={_HOLDER.run_id: {_HOLDER.task_id: "deferred"}}).model_dump()
            case _:
                return None

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
def triggerer(
    logs: Path, *, connections: Mapping[str, Mapping[str, Any]], collector: bool = False
) -> Iterator[Triggerer]:
    """
    Run a triggerer process.

    :param connections: the Airflow connections that it knows, by id.
    :param collector: let `gc.disable()` have no effect in it.
    """
    ours, theirs = socket.socketpair()
    env = with_connections(connections) | ({COLLECTOR_VARIABLE: "1"} if collector else {})
    log_file = logs / "triggerer.log"
    with ours, Child("dev.benchmarks.triggerer_process", env=env, log_file=log_file, stdin=theirs) as child:
        theirs.close()
        yield Triggerer(child, ours)


def _workload(number: int, stored: StoredTrigger) -> RunTrigger:
    """Return what the supervisor sends for a deferred task."""
    classpath, arguments = stored
    return RunTrigger(
        id=number,
        classpath=classpath,
        encrypted_kwargs=Trigger.encrypt_kwargs(arguments),
        timeout_after=datetime.now(UTC) + timedelta(days=7),
        ti=TaskInstanceDTO(
            id=uuid4(),
            dag_version_id=uuid4(),
            task_id=_HOLDER.task_id,
            dag_id=_HOLDER.dag_id,
            run_id=_HOLDER.run_id,
            try_number=1,
            map_index=number,
            pool_slots=1,
            priority_weight=1,
        ),
    )
