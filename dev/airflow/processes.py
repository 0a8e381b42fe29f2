"""Child processes that never outlive us."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, TypeVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

#: From SIGTERM to SIGKILL. A worker of LocalExecutor may need longer, but has nothing to save here.
_TERM_SECONDS = 4.0
_TAIL_LINES = 40


class ProcessDiedError(RuntimeError):
    """A process ended too early."""


class ChildProcess:
    """
    Runs a command in a new session.

    Airflow gives every task a new process group, but the task stays in the session of its component. So `stop` and
    `kill` address the session, and leave nothing behind.

    :param log_file: the file that its output is appended to.
    :param user: the user that runs it, for commands that refuse root. ``None`` is our own user.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log_file: Path,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._command = list(command)
        self._env = dict(env)
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the command."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this package chooses the command
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                # The other user may not have access to our folder.
                cwd="/" if self._user else None,
            )

    def check(self) -> None:
        """Raise `ProcessDiedError` if the command has ended."""
        if self._process is not None and self._process.poll() is not None:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
            code = self._process.returncode
            raise ProcessDiedError(f"{self.name} ended with exit code {code}. Its last lines:\n" + "\n".join(lines))

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return at once."""
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL to the whole session."""
        self.ask_to_stop()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERM_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to everything in the session."""
        if self._process is None:
            return
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def members(self) -> list[int]:
        """Return the process ids of the session, without zombies."""
        if self._process is None:
            return []
        session = self._process.pid
        return [pid for pid in psutil.pids() if _session_of(pid) == session and not _is_zombie(pid)]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def listening_addresses(pids: Iterable[int]) -> set[str]:
    """Return the IP addresses that the processes listen on."""
    return {address for pid in pids for address in _listening_addresses_of(pid)}


def _listening_addresses_of(pid: int) -> set[str]:
    try:
        connections = psutil.Process(pid).net_connections(kind="inet")
    except psutil.NoSuchProcess:
        return set()
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


def free_port() -> int:
    """Return an unused port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(check: Callable[[], T | None], *, timeout: float, what: str, interval: float = 0.25) -> T:
    """
    Return the first true result of `check`.

    :param timeout: seconds until it raises `TimeoutError`.
    :param what: what we wait for, for the error.
    :param interval: seconds between calls.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"Gave up waiting for {what} after {timeout:.0f} s.")
        time.sleep(interval)


def stop_together(children: Iterable[ChildProcess]) -> None:
    """
    Stop processes at the same time.

    A second Ctrl-C does not interrupt it.
    """
    children = list(children)
    with undisturbed():
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM, which would leave processes behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_on_sigterm() -> None:
    """Turn SIGTERM and SIGHUP into an exception, for cleanup."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
