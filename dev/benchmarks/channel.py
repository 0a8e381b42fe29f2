"""Asking a process of our own: one line of JSON there, one back, over a socket that only the two have."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: No answer may take longer: the event loop that is measured can be busy for a while.
ANSWER_SECONDS = 300.0


class Child:
    """
    A module of this package that runs as a process of its own inside the `with` block, and is gone after it.

    :param module: run with ``python -m``; the first argument it gets is the number of its end of the socket.
    :param stdin: a socket that becomes the standard input of the process.
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
            self._process = subprocess.Popen(  # noqa: S603 - the modules are named in this package
                [sys.executable, "-m", self._module, str(theirs.fileno())],
                env=self._env,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL if self._stdin is None else self._stdin.fileno(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ours.settimeout(ANSWER_SECONDS)
        self._socket = ours
        self._lines = ours.makefile("rb")
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()
        # It has nothing to save, and with thousands of connections open it would take its time.
        self._process.kill()
        self._process.wait()

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send a command and return the answer; a process that has ended is an error with the end of its log."""
        self._socket.sendall(json.dumps({"do": command, **arguments}).encode() + b"\n")
        line = self._lines.readline()
        if not line:
            log = self._log_file.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{self._module} has ended while it was asked to {command}:\n{log[-3000:]}")
        return json.loads(line)


async def answer(channel: int, commands: Mapping[str, Callable[..., Any]]) -> None:
    """Answer what comes in through the socket of that number, one command after the other, until it is closed."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=channel))
    while line := await reader.readline():
        arguments = json.loads(line)
        result = commands[arguments.pop("do")](**arguments)
        if inspect.isawaitable(result):
            result = await result
        writer.write(json.dumps(result).encode() + b"\n")
        await writer.drain()
