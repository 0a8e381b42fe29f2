"""How soon the next pipeline starts once the credits are free, in a running Airflow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

from dev.airflow.instance import AirflowInstance
from dev.benchmarks.api_server import api_server
from dev.benchmarks.contenders import API_KEY, OURS, POOL, videodb_connection
from dev.demo.observer import stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.airflow.api import AirflowApi, DagRun

_DAGS = Path(__file__).parent / "dags"
_RUN_SECONDS = 300.0
_HANDOVER = "from a release to the next start, seconds"


def measure_handovers(home: Path, *, runs: int) -> Iterator[tuple[str, dict[str, float]]]:
    """
    Yield the figures of each contender.

    :param runs: how many pipelines want the same credits at the same time.
    """
    with api_server(home, missing=False) as api:
        api.ask("give_credits")
        connections = {"videodb_default": videodb_connection(api.ask("port"), API_KEY)}
        with AirflowInstance(home / "handovers", dags_folder=_DAGS, connections=connections) as airflow:
            airflow.api.wait_for_dag("bench_holds")
            airflow.api.request("POST", "/pools", json={"name": "bench_one_slot", "slots": 1})
            held = _run_all(airflow.api, "bench_holds", runs)
            yield OURS, {_HANDOVER: _handover(held, "gate_release", "gate", "success"), **_worker_seconds(held)}
            pooled = _run_all(airflow.api, "bench_pool", runs)
            yield POOL, {_HANDOVER: _handover(pooled, "job", "job", "running")}


def _run_all(api: AirflowApi, dag_id: str, runs: int) -> list[DagRun]:
    started = [api.trigger(dag_id) for _ in range(runs)]
    states = [run.wait(timeout=_RUN_SECONDS) for run in started]
    if states != ["success"] * runs:
        raise RuntimeError(f"The runs of {dag_id} ended as {states}.")
    return started


def _handover(runs: list[DagRun], ends: str, begins: str, state: str) -> float:
    """
    Return the median time between the end of one pipeline and the start of the next.

    :param ends: the task whose success frees the credits or the slot.
    :param begins: the task whose ``state`` shows that the next pipeline has them.
    """
    free = sorted(_moment(run, ends, "success") for run in runs)
    taken = sorted(_moment(run, begins, state) for run in runs)
    return median((after - before).total_seconds() for before, after in zip(free, taken[1:], strict=False))


def _worker_seconds(runs: list[DagRun]) -> dict[str, float]:
    seconds = []
    for run in runs:
        events = [event for event in run.events() if event["task_id"] == "gate"]
        seconds.append(sum(one.seconds for one in stretches(events) if one.state == "running"))
    return {"worker seconds of a gate with a hold": mean(seconds)}


def _moment(run: DagRun, task_id: str, state: str) -> datetime:
    whens = [event["when"] for event in run.events(event=state) if event["task_id"] == task_id]
    return datetime.fromisoformat(whens[-1])
