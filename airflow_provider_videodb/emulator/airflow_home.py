"""
A separate Airflow for one test.

It has a home, a database, a DAGs folder and a connection.

Airflow reads its settings when it is imported, and a test may have imported it already. So each run is a process: the
command ``airflow dags test``, which runs tasks and triggers one after the other.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_videodb.emulator.server import Emulator

_LONGEST_OUTPUT = 4000


class AirflowRunError(RuntimeError):
    """Airflow could not run the DAG at all."""


@dataclass(frozen=True, kw_only=True)
class DagResult:
    """
    A DAG run that has ended.

    :param state: the state of the run.
    :param states: the state of each task. A mapped task instance is ``task_id[map_index]``.
    :param xcoms: the XComs by task, as in `states`, and by key.
    :param output: what the tasks and Airflow printed.
    """

    state: str
    states: dict[str, str | None]
    xcoms: dict[str, dict[str, Any]]
    output: str


class VideoDBAirflow:
    """
    An Airflow with a connection to an emulator.

    :param home: AIRFLOW_HOME with a migrated database.
    :param emulator: the account behind the connection.
    """

    def __init__(self, home: Path, emulator: Emulator) -> None:
        self.home = home
        self.emulator = emulator
        self.dags_folder = home / "dags"
        self.dags_folder.mkdir(exist_ok=True)
        #: The environment of a run. Add variables such as ``AIRFLOW_VAR_…`` and ``AIRFLOW_CONN_…``.
        self.env = environment(home) | {"AIRFLOW_CONN_VIDEODB_DEFAULT": emulator.connection_json}

    def add_dags(self, *files: Path | str) -> None:
        """Copy DAG files into the DAGs folder."""
        for file in files:
            shutil.copy(file, self.dags_folder)

    def run(self, dag_id: str, *, conf: dict[str, Any] | None = None, timeout: float = 300) -> DagResult:
        """
        Run a DAG to its end.

        :param conf: the configuration of the run.
        :param timeout: seconds until it raises `subprocess.TimeoutExpired`.
        :raises AirflowRunError: the DAG was not found or could not be imported.
        """
        before = self._runs(dag_id)
        options = () if conf is None else ("--conf", json.dumps(conf))
        output = run_airflow(self.env, "dags", "test", dag_id, *options, timeout=timeout)
        started = self._runs(dag_id) - before
        if not started:
            raise AirflowRunError(
                f"Airflow did not run the DAG {dag_id!r} of {self.dags_folder}. Next step: read its output.\n"
                f"{output[-_LONGEST_OUTPUT:]}"
            )
        return self._result(dag_id, started.pop(), output)

    def _runs(self, dag_id: str) -> set[str]:
        return {row["run_id"] for row in self._read("SELECT run_id FROM dag_run WHERE dag_id = ?", dag_id)}

    def _result(self, dag_id: str, run_id: str, output: str) -> DagResult:
        run = (dag_id, run_id)
        (ended,) = self._read("SELECT state FROM dag_run WHERE dag_id = ? AND run_id = ?", *run)
        tasks = self._read("SELECT task_id, map_index, state FROM task_instance WHERE dag_id = ? AND run_id = ?", *run)
        pushed = self._read("SELECT task_id, map_index, key, value FROM xcom WHERE dag_id = ? AND run_id = ?", *run)
        xcoms: dict[str, dict[str, Any]] = {}
        for row in pushed:
            xcoms.setdefault(_name(row), {})[row["key"]] = None if row["value"] is None else json.loads(row["value"])
        states = {_name(row): row["state"] for row in tasks}
        return DagResult(state=ended["state"], states=states, xcoms=xcoms, output=output)

    def _read(self, query: str, *values: str) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(self.home / "airflow.db")) as database:
            database.row_factory = sqlite3.Row
            return database.execute(query, values).fetchall()


def environment(home: Path) -> dict[str, str]:
    """Return our environment without the user's Airflow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        # Tasks call 127.0.0.1, which a proxy must not intercept.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def run_airflow(env: dict[str, str], *arguments: str, timeout: float) -> str:
    """Run an ``airflow`` command and return all it prints."""
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(  # noqa: S603 - the test chooses the DAG
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.stdout


def _name(row: sqlite3.Row) -> str:
    return str(row["task_id"]) if row["map_index"] < 0 else f"{row['task_id']}[{row['map_index']}]"
