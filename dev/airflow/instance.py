"""A real Airflow on loopback: API server, scheduler, DAG processor and triggerer, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dev.airflow import log_server
from dev.airflow.api import AirflowApi
from dev.airflow.processes import ChildProcess, ProcessDiedError, free_port, stop_together, until

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE_DAGS = Path(__file__).resolve().parents[2] / "example_dags"
START_SECONDS = 180

COMPONENTS = {
    "api-server": ("api-server",),
    # The log servers of these two listen on every interface, and no setting changes that. See `log_server.py`.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
HEALTH_NAMES = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class AirflowInstance:
    """
    A complete Airflow on 127.0.0.1 that is up inside the `with` block and gone after it.

    LocalExecutor and SQLite, unless `components` and `settings` make it another one. Every visitor is its admin:
    neither a person nor `api` has to log in.

    :param home: AIRFLOW_HOME: database and logs, left there afterwards.
    :param dags_folder: where the DAG files are.
    :param connections: connections by id, each in Airflow's JSON form; they reach Airflow through the environment
        and are never stored.
    :param parallelism: how many tasks may run at the same time.
    :param components: the `airflow` command of each process, by the name that the process is to have here.
    :param serve_logs: whether the page of a running or waiting task lists its log files without an error; costs a
        process.
    :param settings: further environment variables, such as `AIRFLOW__TRIGGERER__CAPACITY`; they go before ours.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path = EXAMPLE_DAGS,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        parallelism: int = 4,
        components: Mapping[str, tuple[str, ...]] = COMPONENTS,
        settings: Mapping[str, str] | None = None,
        serve_logs: bool = False,
    ) -> None:
        self.home = home.resolve()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.api = AirflowApi(self.url)
        self._env = {
            **_inherited_environment(),
            **_settings(self.home, dags_folder.resolve(), self.url, parallelism),
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in (connections or {}).items()},
            **(settings or {}),
        }
        modules = {name: ("airflow", *arguments) for name, arguments in components.items()}
        if serve_logs:
            port = free_port()
            self._env |= log_server.settings(port)
            modules["log-server"] = (log_server.__name__, str(port))
        self._children = {name: self._child(name, module) for name, module in modules.items()}

    def _child(self, name: str, module: tuple[str, ...]) -> ChildProcess:
        command = [sys.executable, "-m", *module]
        return ChildProcess(name, command, env=self._env, log_file=self.logs / f"{name}.log")

    @property
    def logs(self) -> Path:
        """The folder with the logs of the components and of the tasks."""
        return self.home / "logs"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Create the database, start all components and wait until Airflow calls itself healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.run_command("db", "migrate")
        for child in self._children.values():
            child.start()
        self.wait_healthy()
        self.api.log_in()
        self.api.warm_up()

    def run_command(self, *arguments: str) -> str:
        """Run an `airflow` command in this Airflow's environment and return what it printed."""
        done = subprocess.run(  # noqa: S603 - our own callers choose the command
            [sys.executable, "-m", "airflow", *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ProcessDiedError(f"airflow {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def wait_healthy(self) -> None:
        """Wait until every component reports a heartbeat; one that has died ends the wait with the end of its log."""

        def healthy() -> bool:
            for child in self._children.values():
                child.check()
            status = self.api.health()
            return all(status.get(name) == "healthy" for name in HEALTH_NAMES)

        until(healthy, timeout=START_SECONDS, what="Airflow to become healthy")

    def kill(self, name: str) -> None:
        """End a component and everything it started, without warning (SIGKILL)."""
        self._children[name].kill()

    def restart(self, name: str) -> None:
        """Start a component again, after stopping it in good order if it is still up."""
        self._children[name].stop()
        self._children[name].start()

    def pids(self, name: str) -> list[int]:
        """Return all process ids of a component: itself, its workers, the tasks they run."""
        return self._children[name].members()

    def all_pids(self) -> list[int]:
        """Return the process ids of all components."""
        return [pid for child in self._children.values() for pid in child.members()]

    def has_process(self, pid: int | None) -> bool:
        """Tell whether a process id, such as the `pid` of a task instance, is alive and belongs to this Airflow."""
        return pid in self.all_pids()

    def stop(self) -> None:
        """Stop all components side by side and wait until nothing of them is left."""
        self.api.close()
        stop_together(self._children.values())


def _inherited_environment() -> dict[str, str]:
    """Return the environment without anything that configures another Airflow of this person."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # Tasks call 127.0.0.1; a proxy of the environment must stay out of it.
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _settings(home: Path, dags_folder: Path, url: str, parallelism: int) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # The button "Test" of the connection form.
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The default asks DNS for the name of this machine, once per task.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        # The default listens on every interface.
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": url.rpartition(":")[2],
        "AIRFLOW__API__BASE_URL": url,
        # A worker often notices only at its next heartbeat that its task has ended, and is not free until then.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # A person who edits a DAG file sees the change within seconds, not within five minutes.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }
