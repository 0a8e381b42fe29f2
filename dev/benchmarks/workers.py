"""How long a wait keeps workers busy: the same wait in four ways, one after the other, in a running Airflow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow.instance import AirflowInstance
from dev.airflow.processes import until
from dev.benchmarks.api import Api, api_server
from dev.benchmarks.contenders import API_KEY, http_connection, videodb_connection
from dev.demo.observer import stretches

if TYPE_CHECKING:
    from dev.airflow.api import DagRun

#: Airflow's default.
POKE_INTERVAL = 60
HOUR = 3600

OURS, WITHOUT_A_WORKER, HTTP, PYTHON = (
    "bench_ours",
    "bench_ours_without_a_worker",
    "bench_http",
    "bench_python",
)
_DAGS = Path(__file__).parent / "dags"
_WAIT_SECONDS = 12.0
_TASK_SECONDS = 120.0
_WAITS = {"deferred", "up_for_reschedule"}


@dataclass(frozen=True, kw_only=True)
class Occupation:
    """
    What a short wait took of the workers, by Airflow's audit log.

    :param times: how often a worker had the task.
    :param seconds: how long in all, from `running` to whatever came next.
    :param requests: how many requests the API saw.
    """

    times: int
    seconds: float
    requests: int

    @property
    def seconds_per_hour_of_poking(self) -> float:
        """What an hour takes of a task that comes back for every poke: so many pokes of the mean length seen here."""
        return self.times_per_hour_of_poking * self.seconds / self.times

    @property
    def times_per_hour_of_poking(self) -> int:
        """How often it comes: at the start and after every interval."""
        return HOUR // POKE_INTERVAL + 1


def measure_workers(home: Path) -> dict[str, Occupation]:
    """Run each way to wait once, with nothing else beside it."""
    with api_server(home, missing=False) as api, api_server(home, missing=True) as missing:
        connections = {
            "videodb_default": videodb_connection(api.port, API_KEY),
            "http_default": http_connection(missing.port, API_KEY),
        }
        with AirflowInstance(home / "live", dags_folder=_DAGS, connections=connections) as airflow:
            airflow.api.wait_for_dag(PYTHON)
            return {
                dag_id: _wait_once(airflow.api.trigger(dag_id), missing if dag_id == HTTP else api)
                for dag_id in (OURS, WITHOUT_A_WORKER, HTTP, PYTHON)
            }


def _wait_once(run: DagRun, api: Api) -> Occupation:
    before = api.count()
    until(lambda: run.task("wait")["state"] in _WAITS, timeout=_TASK_SECONDS, what="the task to wait")
    time.sleep(_WAIT_SECONDS)
    api.open_after_next()
    run.wait_for_task("wait", "success", timeout=_TASK_SECONDS)
    requests = api.count() - before
    api.shut()
    running = [stretch for stretch in stretches(_states(run)) if stretch.state == "running"]
    return Occupation(times=len(running), seconds=sum(stretch.seconds for stretch in running), requests=requests)


def _states(run: DagRun) -> list[dict[str, object]]:
    return [event for event in run.events() if event["task_id"] and event["event"] in {"running", "success", *_WAITS}]
