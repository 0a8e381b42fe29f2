"""A real Airflow on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from dev.airflow import log_server
from dev.airflow.api import AirflowApi
from dev.airflow.processes import ChildProcess, ProcessDiedError, free_port, stop_together, until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    Runs a complete Airflow inside the `with` block.

    It uses LocalExecutor and SQLite, unless `components` and `settings` say otherwise. Every visitor is its admin, so
    nobody has to log in, unless there are `users`.

    :param home: AIRFLOW_HOME. Database and logs stay there afterwards.
    :param dags_folder: the folder of the DAG files.
    :param connections: connections by id, in Airflow's JSON form. They come from the environment and are not stored.
    :param parallelism: how many tasks may run at the same time.
    :param components: the `airflow` command of each process, by the name that we give it.
    :param serve_logs: whether the page of a running task lists its log files without an error. This costs a process.
    :param users: the role of each user by name. The password is the name. One of them has to be `admin`.
    :param settings: further environment variables, such as `AIRFLOW__TRIGGERER__CAPACITY`. They override ours.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags_folder: Path,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        parallelism: int = 4,
        components: Mapping[str, tuple[str, ...]] = COMPONENTS,
        settings: Mapping[str, str] | None = None,
        serve_logs: bool = False,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.api = AirflowApi(self.url)
        self._users = users or {}
        self._env = {
            **_inherited_environment(),
            **_settings(self.home, dags_folder.resolve(), self.url, parallelism),
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in (connections or {}).items()},
            **_user_settings(self.home, self._users),
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
        """The folder with the logs of components and tasks."""
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
        """Create the database and start every component."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self._users:
            _passwords_file(self.home).write_text(json.dumps({name: name for name in self._users}))
        self.run_command("db", "migrate")
        for child in self._children.values():
            child.start()
        self.wait_healthy()
        self.api.log_in("admin" if self._users else None)
        self.api.warm_up()

    def run_command(self, *arguments: str) -> str:
        """Run an `airflow` command here and return its output."""
        done = subprocess.run(  # noqa: S603 - this package chooses the command
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
        """Wait until every component is healthy."""

        def healthy() -> bool:
            for child in self._children.values():
                child.check()
            status = self.api.health()
            return all(status.get(name) == "healthy" for name in HEALTH_NAMES)

        until(healthy, timeout=START_SECONDS, what="Airflow to become healthy")

    def kill(self, name: str) -> None:
        """Send SIGKILL to a component and everything it started."""
        self._children[name].kill()

    def restart(self, name: str) -> None:
        """Stop a component, and start it again."""
        self._children[name].stop()
        self._children[name].start()

    def pids(self, name: str) -> list[int]:
        """Return the processes of a component and its tasks."""
        return self._children[name].members()

    def all_pids(self) -> list[int]:
        """Return the process ids of all components."""
        return [pid for child in self._children.values() for pid in child.members()]

    def has_process(self, pid: int | None) -> bool:
        """Tell whether a live process belongs to this Airflow."""
        return pid in self.all_pids()

    def stop(self) -> None:
        """Stop all components and wait until they are gone."""
        self.api.close()
        stop_together(self._children.values())


def _inherited_environment() -> dict[str, str]:
    """Return our environment without settings of another Airflow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # Tasks call 127.0.0.1, which a proxy must not intercept.
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def _passwords_file(home: Path) -> Path:
    return home / "passwords.json"


def _user_settings(home: Path, users: Mapping[str, str]) -> dict[str, str]:
    if not users:
        return {}
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords_file(home)),
    }


def _settings(home: Path, dags_folder: Path, url: str, parallelism: int) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        # On a loaded machine another process can hold SQLite's lock for longer than the default of 5 seconds.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # Enables the button "Test" of the connection form.
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The default makes a DNS request per task.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        # The default listens on every interface.
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": url.rpartition(":")[2],
        "AIRFLOW__API__BASE_URL": url,
        # A worker often learns at its next heartbeat that its task has ended, and is busy until then.
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # A changed DAG file is read again after seconds instead of five minutes.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }
