"""Finds or installs PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev.demo.console import say

PACKAGES = {"postgres": "postgresql", "initdb": "postgresql", "redis-server": "redis-server"}
# Debian installs each major version into a folder that is not in PATH.
POSTGRES_FOLDERS = "/usr/lib/postgresql"
INSTALL_SECONDS = 600


class MissingProgramsError(RuntimeError):
    """A program is missing and we cannot install it."""


@dataclass(frozen=True)
class Programs:
    """Paths of the programs."""

    postgres: Path
    initdb: Path
    redis_server: Path


def programs() -> Programs:
    """Find the programs. As root, install what is missing."""
    missing = sorted({package for name, package in PACKAGES.items() if _find(name) is None})
    if missing:
        _install(missing)
    found = {name: _find(name) for name in PACKAGES}
    postgres, initdb, redis_server = (found[name] for name in ("postgres", "initdb", "redis-server"))
    if postgres is None or initdb is None or redis_server is None:
        raise MissingProgramsError(
            f"apt-get installed {', '.join(missing)}, but not all of {', '.join(PACKAGES)}. Nothing was started. "
            "Next step: put these programs into PATH."
        )
    return Programs(postgres, initdb, redis_server)


def _install(packages: list[str]) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingProgramsError(
            f"PostgreSQL and Redis are needed; missing: {', '.join(packages)}. Nothing was started.\n"
            f"Next step: install them, on Debian and Ubuntu with\nsudo apt-get install {' '.join(packages)}"
        )
    say(f"Installing {' and '.join(packages)} from Debian ...")
    _apt_get("update", "-q")
    _apt_get("install", "-y", "-q", "--no-install-recommends", *packages)


def _apt_get(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        raise MissingProgramsError(
            f"apt-get {' '.join(arguments)} failed. Nothing was started. Next step: repair what it reports:\n"
            f"{done.stdout[-1000:]}{done.stderr[-2000:]}"
        )


def _find(name: str) -> Path | None:
    for folder in sorted(Path(POSTGRES_FOLDERS).glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True):
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    return None if found is None else Path(found)
