"""The processes of a measurement."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import os
import resource
import secrets
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: A reply may take this long, in seconds: the event loop that we measure can be busy.
_REPLY_SECONDS = 300.0
_FOREIGN_SETTINGS = ("AIRFLOW", "_AIRFLOW", "COV_", "COVERAGE", "PYTEST")


class Child:
    """
    Runs a module as a process.

    Commands and replies are lines of JSON, sent over a socket that only the two processes share.

    :param module: run with ``python -m``; its argument is the file number of its end of the socket.
    :param env: its whole environment.
    :param stdin: a socket that becomes its standard input.
    """

    def __init__(
        self, module: str, *, env: Mapping[str, str], log_file: Path, stdin: socket.socket | None = None
    ) -> None:
        self._module = module
        self._env = dict(env)
        self._log_file = log_file
        self._stdin = stdin

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        with theirs, self._log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this package names the modules
                [sys.executable, "-m", self._module, str(theirs.fileno())],
                env=self._env,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL if self._stdin is None else self._stdin.fileno(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ours.settimeout(_REPLY_SECONDS)
        self._socket = ours
        self._replies = ours.makefile("rb")
        return self

    def __exit__(self, *_: object) -> None:
        self._replies.close()
        self._socket.close()
        # It has nothing to save, and a graceful exit with thousands of open connections is slow.
        self._process.kill()
        self._process.wait()

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send a command and return the reply."""
        self._socket.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        reply = self._replies.readline()
        if not reply:
            log = self._log_file.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{self._module} ended during the command {command}. Its last lines:\n{log[-3000:]}")
        return json.loads(reply)


async def reply_to_commands(channel: int, commands: Mapping[str, Callable[..., Any]]) -> None:
    """
    Run the commands that arrive, one by one.

    :param channel: the file number of our end of the socket.
    """
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=channel))
    while line := await reader.readline():
        arguments = json.loads(line)
        result = commands[arguments.pop("command")](**arguments)
        if inspect.isawaitable(result):
            result = await result
        writer.write(json.dumps(result).encode() + b"\n")
        await writer.drain()


def configure_airflow(home: Path) -> None:
    """
    Give this process and its children an unconfigured Airflow.

    Call it before anything imports Airflow, because Airflow reads its environment at import.
    """
    for name in [name for name in os.environ if name.startswith(_FOREIGN_SETTINGS)]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # We encrypt the arguments of a trigger and its process decrypts them, so both need the same key.
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        # The API listens on 127.0.0.1, which a proxy must not intercept.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def with_connections(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return this environment plus Airflow connections, by id."""
    return dict(os.environ) | {f"AIRFLOW_CONN_{name.upper()}": json.dumps(of) for name, of in connections.items()}


def allow_many_connections() -> None:
    """Raise the limit of open files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
