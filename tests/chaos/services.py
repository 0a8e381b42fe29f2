"""A PostgreSQL and a Redis for one test."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow.processes import ChildProcess, ProcessDiedError, free_port, stop_together, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.debian import Programs

START_SECONDS = 60
# PostgreSQL does not run as root. Debian's package creates this user.
POSTGRES_USER = "postgres"
POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Airflow connects over TCP, and the folder of Debian's socket may be missing.
    "unix_socket_directories": "",
    # Every component keeps a pool of connections.
    "max_connections": "300",
    # The data is deleted after the test.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Services:
    """
    Where the two servers are.

    :param database: the URL of PostgreSQL without its scheme, with user and password.
    :param broker: the URL of Redis, with its password.
    """

    database: str
    broker: str


@contextmanager
def services(programs: Programs, logs: Path) -> Iterator[Services]:
    """Run both servers, and delete their data afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="videodb-services-"))
    password = secrets.token_hex(16)
    database, broker = free_port(), free_port()
    children: tuple[ChildProcess, ...] = ()
    try:
        children = (
            _postgres(programs, folder, port=database, password=password, logs=logs),
            _redis(programs, folder, port=broker, password=password, logs=logs),
        )
        for child, port in zip(children, (database, broker), strict=True):
            child.start()
            _wait_until_listening(child, port)
        yield Services(
            database=f"//{POSTGRES_USER}:{password}@127.0.0.1:{database}/postgres",
            broker=f"redis://:{password}@127.0.0.1:{broker}/0",
        )
    finally:
        stop_together(children)
        shutil.rmtree(folder, ignore_errors=True)


def _postgres(programs: Programs, folder: Path, *, port: int, password: str, logs: Path) -> ChildProcess:
    user = POSTGRES_USER if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    # In a file, because every user can read a command line.
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user:
        shutil.chown(secret, user)
    data = folder / "postgres"
    done = subprocess.run(
        [programs.initdb, "-D", data, "-U", POSTGRES_USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"],
        env=ENVIRONMENT,
        cwd="/",
        user=user,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ProcessDiedError(f"initdb failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    settings = {**POSTGRES_SETTINGS, "port": str(port)}
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    command = [str(programs.postgres), "-D", str(data), *options]
    return ChildProcess("postgres", command, env=ENVIRONMENT, log_file=logs / "postgres.log", user=user)


def _redis(programs: Programs, folder: Path, *, port: int, password: str, logs: Path) -> ChildProcess:
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\ndir {folder}\n')
    command = [str(programs.redis_server), str(config)]
    return ChildProcess("redis", command, env=ENVIRONMENT, log_file=logs / "redis.log")


def _wait_until_listening(child: ChildProcess, port: int) -> None:
    def listening() -> bool:
        child.check()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(listening, timeout=START_SECONDS, what=f"{child.name} to listen")
