"""Child processes that are sure to be gone afterwards: each has a session of its own and a log file."""

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

# A worker of Airflow's LocalExecutor may need longer than anybody wants to wait; nothing here is worth it.
TERM_SECONDS = 4.0
TAIL_LINES = 40


class ProcessDiedError(RuntimeError):
    """A process that had to stay up has ended; the message carries the end of its log."""


class ChildProcess:
    """
    One long-running command with its own session, so that nothing it starts can outlive it unnoticed.

    Airflow puts every task into a process group of its own; they all stay in the session of the component that
    started them, which is why `stop` and `kill` go by session and not by group.

    :param user: who runs it, for what refuses to be run by root; `None` for whoever runs us.
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
        """Start the command; what it prints is appended to its log file."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command lines are written in this package
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                # Another user may not be let into the folder that we are in.
                cwd="/" if self._user else None,
            )

    @property
    def pid(self) -> int:
        """The process id of the command itself, which is also the id of its session."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started.")
        return self._process.pid

    def running(self) -> bool:
        """Whether the command itself is up."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise `ProcessDiedError` with the end of the log when the command has ended."""
        if not self.running():
            code = self._process.returncode if self._process else None
            raise ProcessDiedError(f"{self.name} ended with exit code {code}. Its last lines:\n{self.tail()}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return at once, so that several processes can shut down side by side."""
        if self._process is not None and self.running():
            self._process.terminate()

    def stop(self) -> None:
        """Stop the command and everything in its session: SIGTERM first, SIGKILL for what is left."""
        self.ask_to_stop()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TERM_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the command and everything in its session with SIGKILL, as a machine that fails would."""
        if self._process is None:
            return
        for pid in session_members(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def members(self) -> list[int]:
        """Return the process ids of everything in the session that is still alive."""
        return session_members(self.pid)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the end of the log file."""
        if not self.log_file.exists():
            return ""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def session_members(session: int) -> list[int]:
    """Return the ids of all processes of a session, zombies left out."""
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
    """Return the IP addresses that processes listen on."""
    return {address for pid in pids for address in _listening_addresses_of(pid)}


def _listening_addresses_of(pid: int) -> set[str]:
    try:
        connections = psutil.Process(pid).net_connections(kind="inet")
    except psutil.NoSuchProcess:
        return set()
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(check: Callable[[], T | None], *, timeout: float, what: str, interval: float = 0.25) -> T:
    """Ask again and again until `check` answers something true, and return that answer."""
    deadline = time.monotonic() + timeout
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:.0f} s in vain for {what}.")
        time.sleep(interval)


def stop_together(children: Iterable[ChildProcess]) -> None:
    """Stop several processes side by side; a second Ctrl-C meanwhile does not interrupt it."""
    children = list(children)
    with undisturbed():
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM inside the block, where an interruption would leave processes behind."""
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
    """Let SIGTERM and a closed terminal end this process as an exception does, so that `with` blocks clean up."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
