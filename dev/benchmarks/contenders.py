"""Who is compared: the trigger each one's task defers to, and the connection it takes."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable

API_KEY = "sk-bench"
THRESHOLD = 100
_A_WEEK = 7 * 24 * 3600.0

#: Class path and arguments, as the database keeps them.
StoredTrigger = tuple[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """
    One way to wait in the triggerer.

    :param trigger: makes the stored trigger from a connection id and an interval.
    :param connection: makes the connection, in Airflow's JSON form, from the port of the API and an API key.
    :param missing: can only wait for a 404 to end, and is answered so.
    :param polls: asks the API at all.
    """

    name: str
    trigger: Callable[[str, float], StoredTrigger]
    connection: Callable[[int, str], dict[str, Any]]
    missing: bool = False
    polls: bool = True


def _ours(conn_id: str, interval: float) -> StoredTrigger:
    """Return what `CreditThresholdSensor` defers to."""
    return "airflow_provider_videodb.triggers.credits.CreditThresholdTrigger", {
        "threshold": str(THRESHOLD),
        "videodb_conn_id": conn_id,
        "poll_interval": interval,
        "deadline": time.time() + _A_WEEK,
        "max_consecutive_failures": 5,
        "end_from_trigger": False,
        "soft_fail": False,
    }


def _shared(conn_id: str, interval: float) -> StoredTrigger:
    arguments = {"threshold": THRESHOLD, "conn_id": conn_id, "interval": interval}
    return "benchmarks.triggers.SharedStreamTrigger", arguments


def _idle(_: str, __: float) -> StoredTrigger:
    return "benchmarks.triggers.IdleTrigger", {}


def _http(conn_id: str, interval: float) -> StoredTrigger:
    """Return what `HttpSensor(deferrable=True)` defers to after a first poke in vain."""
    from airflow.providers.common.compat.sdk import TaskDeferred
    from airflow.providers.http.sensors.http import HttpSensor

    sensor = HttpSensor(
        task_id="wait", endpoint="billing/usage", http_conn_id=conn_id, poke_interval=interval, deferrable=True
    )
    try:
        # Airflow warns of an `execute` that is called from elsewhere than its task runner.
        with mock.patch.object(HttpSensor, "poke", return_value=False):
            inspect.unwrap(HttpSensor.execute)(sensor, {})
    except TaskDeferred as deferral:
        stored: StoredTrigger = deferral.trigger.serialize()
        return stored
    raise RuntimeError("HttpSensor(deferrable=True) did not defer.")


def videodb_connection(port: int, api_key: str) -> dict[str, Any]:
    """Return the connection that this provider takes."""
    return {"conn_type": "videodb", "host": f"http://127.0.0.1:{port}", "password": api_key}


def http_connection(port: int, api_key: str) -> dict[str, Any]:
    """Return the connection that the HTTP provider takes, with the key as the header that VideoDB wants."""
    return {"conn_type": "http", "host": "127.0.0.1", "port": port, "extra": {"x-access-token": api_key}}


OURS = Contender(name="ours", trigger=_ours, connection=videodb_connection)
HTTP = Contender(name="HttpSensor", trigger=_http, connection=http_connection, missing=True)
SHARED = Contender(name="shared stream", trigger=_shared, connection=videodb_connection)
IDLE = Contender(name="idle trigger", trigger=_idle, connection=videodb_connection, polls=False)
