"""What `make demo` and `make ui` both stand on: the emulator, and an Airflow that is connected to it."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.instance import AirflowInstance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAG_ID = "credit_gate"
CREDITS_AT_START = 3
CREDITS_PER_VIDEO = 4


@dataclass(frozen=True)
class Stage:
    """A running emulator and a running Airflow."""

    emulator: Emulator
    airflow: AirflowInstance


@contextmanager
def stage(home: Path) -> Iterator[Stage]:
    """
    Start both, with the DAG ready to run, and stop both at the end.

    The account is short of credits: it has 3, and each of the DAG's three videos costs 4. The API key is new every
    time, so that looking for it in the logs means something.
    """
    api_key = f"sk-demo-{secrets.token_hex(16)}"
    with Emulator(credits=CREDITS_AT_START, price_index=CREDITS_PER_VIDEO, api_key=api_key) as emulator:
        connections = {"videodb_default": emulator.connection}
        with AirflowInstance(home, connections=connections, serve_logs=True) as airflow:
            airflow.api.wait_for_dag(DAG_ID)
            yield Stage(emulator, airflow)
