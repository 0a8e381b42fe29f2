from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.processes import end_on_sigterm
from dev.demo.console import say
from tests.chaos.cluster import cluster
from tests.chaos.debian import programs
from tests.chaos.scenario import DAG_ID, Scenario
from tests.chaos.services import services

if TYPE_CHECKING:
    from pathlib import Path


def test_distributed_airflow_pays_each_top_up_once(tmp_path: Path) -> None:
    end_on_sigterm()
    logs = tmp_path / "logs"
    found = programs()
    say(f"\nStarting PostgreSQL, Redis and Airflow with two workers and two triggerers. Their logs are in\n{logs}\n")
    with Emulator(credits=0) as one, Emulator(credits=0) as other, services(found, logs) as urls:
        emulators = {"one": one, "other": other}
        connections = {f"videodb_{name}": emulator.connection for name, emulator in emulators.items()}
        with cluster(tmp_path, urls, connections=connections) as airflow:
            airflow.api.wait_for_dag(DAG_ID)
            Scenario(airflow, emulators).run()
