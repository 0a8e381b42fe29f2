"""The pytest fixture, and what pytest imports for it in every run."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points

PLUGIN = "airflow_provider_videodb.emulator.pytest_plugin"


def loaded_by(*modules):
    """Return the top-level packages in a fresh interpreter after some imports."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_package_and_plugin_import_only_themselves():
    heavy = {"fastapi", "starlette", "uvicorn", "pydantic", "requests", "airflow", "videodb", "asyncio"}
    assert loaded_by("airflow_provider_videodb.emulator") & {*heavy, "pytest"} == set()
    assert loaded_by(PLUGIN) & (heavy - {"asyncio"}) == set()


def test_emulator_starts_without_airflow_and_jinja():
    needless = {"airflow", "jinja2", "requests", "videodb", "pytest"}
    assert loaded_by("airflow_provider_videodb.emulator.__main__") & needless == set()


def test_fixture_is_new_for_every_test(tmp_path):
    tests = tmp_path / "test_mine.py"
    tests.write_text(
        """
import json, os, sys, urllib.request

def test_first(videodb_emulator):
    assert videodb_emulator.balance == 3
    videodb_emulator.charge(1)
    request = urllib.request.Request(
        videodb_emulator.base_url + "/billing/usage", headers={"x-access-token": videodb_emulator.api_key}
    )
    assert json.load(urllib.request.urlopen(request))["data"]["credit_balance"] == 2
    assert len(videodb_emulator.calls(path="/billing/usage")) == 1

def test_second(videodb_emulator):
    assert videodb_emulator.balance == 3
    assert videodb_emulator.calls() == []
"""
    )
    registered = any(point.value == PLUGIN for point in entry_points(group="pytest11"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tests)]
    environment = {**os.environ, "PYTEST_ADDOPTS": "" if registered else f"-p {PLUGIN}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
