"""Give each test its Airflow and emulator, and guard the API key."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_videodb.emulator.server import Emulator

API_KEY = "sk-test-4f1c9d27a8e35b60"

# Airflow reads its settings on its first import, so they must be set before any test imports it.
# Each process of `pytest -n` runs this file and therefore has its own AIRFLOW_HOME and database.
_HOME = Path(tempfile.mkdtemp(prefix="airflow-provider-videodb-tests-"))
(_HOME / "dags").mkdir()
os.environ |= {
    "AIRFLOW_HOME": str(_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
}

# The longest tests start first, because a long one at the end would leave the other processes idle.
_FIRST_ROOMS = ("live", "integration")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deal out the tests to the processes of `pytest -n`."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    items.sort(key=_start_order)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _start_order(item: pytest.Item) -> int:
    room = _room(item)
    return _FIRST_ROOMS.index(room) if room in _FIRST_ROOMS else len(_FIRST_ROOMS)


def _group(item: pytest.Item) -> str:
    """Keep a file in one process, and all live tests that share one Airflow."""
    if _room(item) != "live":
        return str(item.path)
    return "fenced" if "fenced_airflow" in getattr(item, "fixturenames", ()) else "live"


def _room(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """
    Fail a test whose output or log contains the API key.

    Airflow would mask the key, but our code must not rely on that.
    """
    report = yield
    leaks = [title for title, text in report.sections if API_KEY in text]
    if leaks and report.outcome != "failed":
        report.outcome = "failed"
        report.longrepr = f"the API key appears in: {', '.join(leaks)}"
    return report


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Migrate the database that all DAG runs of this process share."""
    from airflow.utils.db import initdb
    from sqlalchemy import Engine, event

    event.listen(Engine, "connect", _skip_fsync)
    initdb()


def _skip_fsync(connection: Any, _: object) -> None:
    # SQLite would wait for the disk at each commit, for data that nobody reads after the tests.
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Run an emulator with 3 credits and point `videodb_default` at it."""
    from airflow_provider_videodb.emulator.server import Emulator

    with Emulator(credits=3, api_key=API_KEY) as running:
        monkeypatch.setenv("AIRFLOW_CONN_VIDEODB_DEFAULT", running.connection_json)
        yield running
