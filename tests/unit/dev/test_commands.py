from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("module", ["dev.demo.run", "dev.demo.ui", "dev.benchmarks"])
def test_help_starts_nothing(module):
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.startswith(f"usage: python -m {module} [-h]")
    assert "Starting" not in done.stdout
