"""One task waits in a running Airflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import until
from dev.benchmarks.api_server import api_server
from dev.benchmarks.contenders import API_KEY, HTTP, OURS, PYTHON, http_connection, videodb_connection
from dev.demo.observer import stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.airflow.api import DagRun
    from dev.benchmarks.children import Child

#: Pokes of an hour at Airflow's default of one a minute, and the one at its start.
_POKES_PER_HOUR = 61
_DAGS = Path(__file__).parent / "dags"
_WAIT_SECONDS = 12.0
_TASK_SECONDS = 120.0
_WAITS = {"deferred", "up_for_reschedule"}
_STARTS, _SECONDS = "worker starts in an hour's wait", "worker seconds in an hour's wait"


def measure_workers(home: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield how long each contender holds a worker."""
    with api_server(home, missing=False) as api, api_server(home, missing=True) as missing:
        connections = {
            "videodb_default": videodb_connection(api.ask("port"), API_KEY),
            "http_default": http_connection(missing.ask("port"), API_KEY),
        }
        with AirflowInstance(home / "live", dags_folder=_DAGS, connections=connections) as airflow:
            airflow.api.wait_for_dag("bench_python")
            for dag_id, contender, server in (
                ("bench_ours", OURS, api),
                ("bench_http", HTTP, missing),
                ("bench_python", PYTHON, api),
            ):
                starts, seconds = _wait_once(airflow.api.trigger(dag_id), server)
                # A deferred task costs the same however long it waits; a rescheduled one costs a start per poke.
                scale = _POKES_PER_HOUR / starts if contender == PYTHON else 1
                yield contender, {_STARTS: starts * scale, _SECONDS: seconds * scale}
            starts, _ = _wait_once(airflow.api.trigger("bench_ours_without_a_worker"), api)
            yield OURS, {f"{_STARTS}, with start_from_trigger and end_from_trigger": starts}


def _wait_once(run: DagRun, api: Child) -> tuple[int, float]:
    """Return a worker's starts and seconds with the task."""
    until(lambda: run.task("wait")["state"] in _WAITS, timeout=_TASK_SECONDS, what="the task to wait")
    time.sleep(_WAIT_SECONDS)
    api.ask("give_credits_after_next_response")
    run.wait_for_task("wait", "success", timeout=_TASK_SECONDS)
    api.ask("take_credits")
    states = [event for event in run.events() if event["task_id"] and event["event"] in {"running", "success", *_WAITS}]
    running = [stretch.seconds for stretch in stretches(states) if stretch.state == "running"]
    return len(running), sum(running)
