"""
The pytest fixtures `videodb_emulator` and `videodb_airflow`.

pytest imports this module in every test run on a machine with the provider, so it imports only pytest.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_videodb.emulator.airflow_home import VideoDBAirflow
    from airflow_provider_videodb.emulator.server import Emulator


@pytest.fixture
def videodb_emulator() -> Iterator[Emulator]:
    """
    Run a new emulator with 3 credits for one test.

    Every test gets a new server on a new port. A thread that an earlier test left running therefore meets a closed
    port and cannot appear in this test's call log.
    """
    from airflow_provider_videodb.emulator.server import Emulator

    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def videodb_airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the empty database that each `videodb_airflow` copies."""
    from airflow_provider_videodb.emulator.airflow_home import AirflowRunError, environment, run_airflow

    home = tmp_path_factory.mktemp("videodb_airflow")
    output = run_airflow(environment(home), "db", "migrate", timeout=300)
    if not (home / "airflow.db").exists():
        raise AirflowRunError(f"Airflow created no database in {home}. Next step: read its output.\n{output}")
    return home


@pytest.fixture
def videodb_airflow(
    videodb_airflow_home: Path, videodb_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> VideoDBAirflow:
    """
    Return a new Airflow with a connection to `videodb_emulator`.

    The connection is ``videodb_default``. The fixture neither reads nor changes the Airflow of the machine.
    """
    from airflow_provider_videodb.emulator.airflow_home import VideoDBAirflow

    home = tmp_path_factory.mktemp("videodb_airflow")
    # Airflow writes the path of its home into airflow.cfg, so that file must not be copied.
    for file in videodb_airflow_home.glob("airflow.db*"):
        shutil.copy(file, home)
    return VideoDBAirflow(home, videodb_emulator)
