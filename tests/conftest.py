"""Give each test its Airflow and emulator, and guard the API key."""

from __future__ import annotations

import os
import shutil
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
_FIRST_FOLDERS = ("tests/live/", "tests/integration/")
# These live tests share the second Airflow, `fenced_airflow`. All others share `live_airflow`.
_FENCED_FILES = ("tests/live/test_fence.py", "tests/live/test_unwritable_records.py")


def pytest_unconfigure() -> None:
    """Remove the AIRFLOW_HOME of this process."""
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, those that take long first."""
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in _FIRST_FOLDERS])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """
    Give each process of `pytest -n` whole files, and one process all tests of an Airflow.

    The marker `xdist_group` would do the same, but xdist 3.8 ignores it with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if not file.startswith("tests/live/"):
                return file
            return "fenced" if file in _FENCED_FILES else "live"

    config.option.loadscopereorder = False
    return ByFile(config, log)


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
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _skip_fsync)
    initdb()


@pytest.fixture(autouse=True)
def no_records(request: pytest.FixtureRequest) -> None:
    """
    Forget what earlier tests of this process recorded.

    Its tests share a database. A hold counts for as long as its spending may not show, and commands list all purchases.
    """
    if "airflow_db" in request.fixturenames:
        request.getfixturevalue("airflow_db")
        from tests.support.recorded import forget_records

        forget_records()


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
