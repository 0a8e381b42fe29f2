"""Build the sdist and the wheel as `make package` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Dists(NamedTuple):
    """Two files, ready to be published."""

    sdist: Path
    wheel: Path


def run(*command, cwd=None, umask=-1):
    """Run a command that must succeed, and return what it prints."""
    # PYTHONPATH would let the child import the source instead of the wheel.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        command, cwd=cwd, env=environment, umask=umask, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(folder, *, source=ROOT, umask=-1):
    """Build the sdist from the source, and the wheel from the sdist, with the installed build backend."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, umask=umask)
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return Dists(sdist, wheel)
