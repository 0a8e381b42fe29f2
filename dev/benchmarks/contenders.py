"""The ways to wait that we compare."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable

OURS, HTTP, SHARED, IDLE, PYTHON = "ours", "HttpSensor", "shared stream", "idle trigger", "PythonSensor"
#: A pool with one slot.
POOL = "pool"
API_KEY = "sk-bench"
THRESHOLD = 100
_A_WEEK = 7 * 24 * 3600.0

#: Class path and arguments, as Airflow's database keeps them.
StoredTrigger = tuple[str, dict[str, Any]]


def videodb_connection(port: int, api_key: str) -> dict[str, Any]:
    """Return a connection for this provider."""
    return {"conn_type": "videodb", "host": f"http://127.0.0.1:{port}", "password": api_key}


def http_connection(port: int, api_key: str) -> dict[str, Any]:
    """Return a connection for the HTTP provider."""
    return {"conn_type": "http", "host": "127.0.0.1", "port": port, "extra": {"x-access-token": api_key}}


@dataclass(frozen=True, kw_only=True)
class Contender:
    """
    One way to wait in the triggerer.

    :param trigger: makes the stored trigger from a connection id and a poll interval in seconds.
    :param connection: makes the connection from the API's port and an API key.
    :param missing: it waits for a 404 to end, because it cannot wait for a balance.
    :param polls: it sends requests.
    :param collector: `gc.disable()` has no effect in its process.
    """

    name: str
    trigger: Callable[[str, float], StoredTrigger]
    connection: Callable[[int, str], dict[str, Any]] = videodb_connection
    missing: bool = False
    polls: bool = True
    collector: bool = False


def _ours(conn_id: str, interval: float) -> StoredTrigger:
    return "airflow_provider_videodb.triggers.credits.CreditThresholdTrigger", {
        "threshold": str(THRESHOLD),
        "videodb_conn_id": conn_id,
        "poll_interval": interval,
        "deadline": time.time() + _A_WEEK,
        "max_consecutive_failures": 5,
        "end_from_trigger": False,
        "soft_fail": False,
    }


def holding(conn_id: str, interval: float, *, holder: str) -> StoredTrigger:
    """Return what `CreditThresholdSensor(hold=True)` defers to."""
    classpath, arguments = _ours(conn_id, interval)
    gate = {"holds": True, "holder": holder, "try_id": "0", "priority": 0, "decides_in_worker": True}
    return classpath, arguments | {"gate": gate}


def _shared(conn_id: str, interval: float) -> StoredTrigger:
    arguments = {"threshold": THRESHOLD, "conn_id": conn_id, "interval": interval}
    return "dev.benchmarks.triggers.SharedStreamTrigger", arguments


def _idle(_: str, __: float) -> StoredTrigger:
    return "dev.benchmarks.triggers.IdleTrigger", {}


def _http(conn_id: str, interval: float) -> StoredTrigger:
    """Return what `HttpSensor` defers to after a failed poke."""
    from airflow.providers.common.compat.sdk import TaskDeferred
    from airflow.providers.http.sensors.http import HttpSensor

    sensor = HttpSensor(
        task_id="wait", endpoint="billing/usage", http_conn_id=conn_id, poke_interval=interval, deferrable=True
    )
    try:
        # Unwrapped, because Airflow warns about an `execute` that is called outside its task runner.
        with mock.patch.object(HttpSensor, "poke", return_value=False):
            inspect.unwrap(HttpSensor.execute)(sensor, {})
    except TaskDeferred as deferral:
        stored: StoredTrigger = deferral.trigger.serialize()
        return stored
    raise RuntimeError("HttpSensor(deferrable=True) did not defer.")


OUR_TRIGGER = Contender(name=OURS, trigger=_ours)
#: Shows what our trigger gains by pausing Python's collector while it wakes tasks.
OURS_WITH_COLLECTOR = Contender(name="ours without gc.disable()", trigger=_ours, collector=True)
HTTP_TRIGGER = Contender(name=HTTP, trigger=_http, connection=http_connection, missing=True)
SHARED_STREAM = Contender(name=SHARED, trigger=_shared)
IDLE_TRIGGER = Contender(name=IDLE, trigger=_idle, polls=False)
