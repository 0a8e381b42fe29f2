"""An emulator and an Airflow connected to it."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.dags import EXAMPLE_DAGS, link_dags
from dev.airflow.instance import AirflowInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG_ID = "credit_gate"
CONN_ID = "videodb_default"
STARTING = "Starting a local VideoDB (the emulator) and Airflow. This takes about 20 seconds ..."
#: Too few, because the DAG indexes three videos.
CREDITS_AT_START = 3
CREDITS_PER_VIDEO = 4


@dataclass(frozen=True)
class Environment:
    """A running emulator and a running Airflow."""

    emulator: Emulator
    airflow: AirflowInstance


@contextmanager
def environment(home: Path) -> Iterator[Environment]:
    """
    Start both, and yield once the DAG can run.

    The API key is random, so that a search for it in the logs finds only leaks.

    :param home: the folder for Airflow's database and logs.
    """
    api_key = f"sk-demo-{secrets.token_hex(16)}"
    with (
        Emulator(credits=CREDITS_AT_START, price_index=CREDITS_PER_VIDEO, api_key=api_key) as emulator,
        AirflowInstance(
            home,
            dags_folder=link_dags(home / "dags", EXAMPLE_DAGS),
            connections={CONN_ID: emulator.connection},
            serve_logs=True,
        ) as airflow,
    ):
        airflow.api.wait_for_dag(DAG_ID)
        yield Environment(emulator, airflow)
