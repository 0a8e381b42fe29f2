"""Both ways to type the commands, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_videodb.holds.rules.records import Kind
from tests.support.compat import needs_provider_commands
from tests.support.hold_flags import raise_flag

AIRFLOW = [str(Path(sys.executable).with_name("airflow")), "videodb"]
MODULE = [sys.executable, "-m", "airflow_provider_videodb"]
PROGRAMS = [pytest.param(AIRFLOW, id="airflow", marks=needs_provider_commands), pytest.param(MODULE, id="module")]


def run(*command):
    # On Python 3.14, Airflow's own options of commands are deprecated, and Airflow prints that to stdout.
    env = os.environ | {"PYTHONWARNINGS": "ignore::PendingDeprecationWarning"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=180)


@pytest.fixture
def held(airflow_db):
    return raise_flag(Kind.HELD, "12.5")


@pytest.mark.parametrize("program", PROGRAMS)
def test_list_prints_json_and_nothing_else(held, program):
    ran = run(*program, "holds", "list", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    (account,) = json.loads(ran.stdout)["accounts"]
    assert account["held_credits"] == 12.5
    assert [one["dag_id"] for one in account["holds"]] == ["nightly"]


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        pytest.param(AIRFLOW, "airflow videodb", marks=needs_provider_commands),
        (MODULE, "python -m airflow_provider_videodb"),
    ],
)
def test_suggested_command_fits_the_program(held, program, typed):
    ran = run(*program, "holds", "list")
    assert f"{typed} holds release {held.holder.removesuffix('.-1')} --reason" in ran.stdout


@needs_provider_commands
def test_help_of_airflow_lists_the_group():
    ran = run(AIRFLOW[0], "--help")
    assert any(line.split()[:1] == ["videodb"] for line in ran.stdout.splitlines())


@pytest.mark.parametrize("program", PROGRAMS)
def test_unknown_hold_ends_with_status_1(held, program):
    ran = run(*program, "holds", "release", "0" * 16, "--reason", "x")
    assert ran.returncode == 1
    assert "There is no hold " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_help_without_arguments_names_the_commands():
    ran = run(*MODULE, "holds", "--help")
    assert all(name in ran.stdout for name in ("list", "release", "pause", "resume", "journal"))
