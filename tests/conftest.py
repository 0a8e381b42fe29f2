"""What every test gets: an Airflow of its own, an emulator, and no way to print the API key unnoticed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.emulator.server import Emulator

API_KEY = "sk-test-4f1c9d27a8e35b60"

# Airflow reads its settings when it is first imported, so they are made before anything imports it.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-videodb-tests-"))
(_HOME / "dags").mkdir()
os.environ |= {
    "AIRFLOW_HOME": str(_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a test whose output or log contains the API key: Airflow's masker is a second net, not the first."""
    report = yield
    leaks = [title for title, text in report.sections if API_KEY in text]
    if leaks and report.outcome != "failed":
        report.outcome = "failed"
        report.longrepr = f"the API key appears in: {', '.join(leaks)}"
    return report


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Migrate the database once; every DAG run of the session lives in it."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Run an emulator with 3 credits and point `videodb_default` at it."""
    from airflow_provider_videodb.emulator.server import Emulator

    with Emulator(credits=3, api_key=API_KEY) as running:
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", running.connection_json)
        yield running
