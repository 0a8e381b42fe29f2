"""A distributed Airflow: two Celery workers and two triggerers."""

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

WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
#: Tasks that one worker runs at a time.
CONCURRENCY = 3
_DAGS = Path(__file__).parent / "dags"
_READY_SECONDS = 120


@contextmanager
def cluster(
    home: Path, services: Services, *, connections: Mapping[str, Mapping[str, Any]]
) -> Iterator[AirflowInstance]:
    """Run the Airflow, and yield when it is ready."""
    with AirflowInstance(
        home,
        dags_folder=_DAGS,
        connections=connections,
        # As many as the workers run. More would wait in Redis, where Airflow takes them for stuck after a while.
        parallelism=len(WORKERS) * CONCURRENCY,
        components=_components(home),
        settings=_settings(services),
    ) as airflow:
        for worker in WORKERS:
            until(partial(_is_ready, airflow, worker), timeout=_READY_SECONDS, what=f"{worker} to take tasks")
        until(lambda: len(triggerers(airflow)) == len(TRIGGERERS), timeout=_READY_SECONDS, what="both triggerers")
        yield airflow


def triggerers(airflow: AirflowInstance) -> list[dict[str, Any]]:
    """Return the triggerers that Airflow considers alive."""
    query = {"job_type": "TriggererJob", "job_state": "running", "is_alive": True}
    jobs: list[dict[str, Any]] = airflow.api.request("GET", "/jobs", params=query)["jobs"]
    return jobs


def _is_ready(airflow: AirflowInstance, worker: str) -> bool:
    log = (airflow.logs / f"{worker}.log").read_text(encoding="utf-8", errors="replace")
    return f"{worker} ready." in log


def _components(home: Path) -> dict[str, tuple[str, ...]]:
    """Return the command of each process, by its name."""
    once = {name: command for name, command in COMPONENTS.items() if name != "triggerer"}
    workers = {name: _worker(name, home) for name in WORKERS}
    return once | workers | dict.fromkeys(TRIGGERERS, COMPONENTS["triggerer"])


def _worker(name: str, home: Path) -> tuple[str, ...]:
    options = ("--celery-hostname", name, "--concurrency", str(CONCURRENCY), "--pid", str(home / f"{name}.pid"))
    # The worker's log server would listen on every interface.
    return ("celery", "worker", *options, "--skip-serve-logs", "--without-gossip", "--without-mingle")


def _settings(services: Services) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2:{services.database}",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2:{services.database}",
        "AIRFLOW__CELERY__BROKER_URL": services.broker,
        # The scheduler gives up a task whose heartbeat is this old, instead of 5 minutes. Tasks beat every second here.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
        # A task that the killed worker had fetched but not started stays queued, by default for 10 minutes. Redis
        # delivers it again only after Celery's visibility timeout, which must be longer than the longest task.
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        # Airflow gives up a killed triggerer after 10 seconds instead of 30, and the other takes over its triggers.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
