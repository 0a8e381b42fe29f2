"""The distributed Airflow: two workers behind Celery and two triggerers, over PostgreSQL and Redis."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.airflow.instance import COMPONENTS, AirflowInstance
from dev.airflow.processes import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.services import Services

DAGS = Path(__file__).parent / "dags"
WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
#: Tasks that one worker runs at a time.
CONCURRENCY = 3
READY_SECONDS = 120


@contextmanager
def cluster(
    home: Path, services: Services, *, connections: Mapping[str, Mapping[str, Any]]
) -> Iterator[AirflowInstance]:
    """Start all of it, wait until every part is ready for work, and stop it at the end."""
    with AirflowInstance(
        home,
        dags_folder=DAGS,
        connections=connections,
        # What the workers can run at once: a task that has to wait does so in Airflow's database, not in Redis, where
        # it would count as stuck after a while.
        parallelism=len(WORKERS) * CONCURRENCY,
        components=_components(home),
        settings=_settings(services),
    ) as airflow:
        for worker in WORKERS:
            until(partial(_is_ready, airflow, worker), timeout=READY_SECONDS, what=f"{worker} to take tasks")
        until(lambda: len(triggerers(airflow)) == len(TRIGGERERS), timeout=READY_SECONDS, what="both triggerers")
        yield airflow


def triggerers(airflow: AirflowInstance) -> list[dict[str, Any]]:
    """Return the triggerers that Airflow takes for alive."""
    query = {"job_type": "TriggererJob", "job_state": "running", "is_alive": True}
    jobs: list[dict[str, Any]] = airflow.api.request("GET", "/jobs", params=query)["jobs"]
    return jobs


def _is_ready(airflow: AirflowInstance, worker: str) -> bool:
    log = (airflow.logs / f"{worker}.log").read_text(encoding="utf-8", errors="replace")
    return f"{worker} ready." in log


def _components(home: Path) -> dict[str, tuple[str, ...]]:
    """Return what runs: one of each, but two workers and two triggerers, each under a name of its own."""
    once = {name: command for name, command in COMPONENTS.items() if name != "triggerer"}
    workers = {name: _worker(name, home) for name in WORKERS}
    return once | workers | dict.fromkeys(TRIGGERERS, COMPONENTS["triggerer"])


def _worker(name: str, home: Path) -> tuple[str, ...]:
    options = ("--celery-hostname", name, "--concurrency", str(CONCURRENCY), "--pid", str(home / f"{name}.pid"))
    # Its log server listens on every interface, like those of scheduler and triggerer.
    return ("celery", "worker", *options, "--skip-serve-logs", "--without-gossip", "--without-mingle")


def _settings(services: Services) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2:{services.database}",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2:{services.database}",
        "AIRFLOW__CELERY__BROKER_URL": services.broker,
        # A task whose process died with its worker still counts as running until its heartbeat is this old: 5 minutes
        # by default. Tasks beat every second here.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
        # A task that the worker had taken, but not begun, stays queued: 10 minutes by default, and looked for every 2.
        # Redis would deliver it again after Celery's visibility timeout only, a day; a short one would also deliver
        # tasks again that run for longer.
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        # A triggerer that was killed is given up after 10 seconds, not 30, and the other takes over its triggers.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
