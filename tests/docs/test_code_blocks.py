"""
Each code block of README and docs does what the page says.

A Python block is type-checked and run: as a DAG file, as a test, or line by line. A shell block is not run, but each
command must exist and accept its arguments. The comments above a block are described in CONTRIBUTING.md.
"""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED
from tests.support.code_blocks import CodeBlock, code_blocks
from tests.support.commands import check_commands, check_option, commands_of_console
from tests.support.dag_runs import new_dag

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not VARIABLES_CAN_BE_LISTED, reason="the pages show holds, which need Airflow 3.3")

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [block for page in PAGES for block in code_blocks(page)]
PYTHON_BLOCKS = [block for block in BLOCKS if block.language == "python"]


def check_ini(text: str) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    for section in parser.sections():
        for key in parser[section]:
            check_option(section, key)


def check_console(text: str) -> None:
    commands = commands_of_console(text)
    assert commands, "a console block shows a command after `$ `"
    check_commands(commands)


CHECKS: dict[str, Callable[[str], object]] = {
    "sh": check_commands,
    "console": check_console,
    "ini": check_ini,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
#: What a program prints, a formula, and a diagram that GitHub draws.
SHOWN_ONLY = {"text", "mermaid"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_language_of_block_is_known(block: CodeBlock) -> None:
    assert block.language in {"python", *CHECKS, *SHOWN_ONLY}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in CHECKS and not b.not_run], ids=str)
def test_block_is_accepted_by_what_reads_it(block: CodeBlock) -> None:
    CHECKS[block.language](block.text)


@pytest.fixture(scope="module")
def type_errors(tmp_path_factory):
    """Check the types of all Python blocks at once, and return the lines of mypy."""
    folder = tmp_path_factory.mktemp("blocks")
    for number, block in enumerate(PYTHON_BLOCKS):
        (folder / f"block_{number}.py").write_text(block.module())
    # Airflow types what a task is given as the value, while a DAG gives the XComArg that stands for it.
    options = ["--config-file=", "--check-untyped-defs", "--disable-error-code=arg-type", "--no-error-summary"]
    places = [f"--cache-dir={ROOT / '.mypy_cache' / 'docs'}", folder]
    command = [sys.executable, "-m", "mypy", *options, *places]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert checked.returncode in (0, 1), checked.stderr
    return checked.stdout.splitlines()


@pytest.mark.parametrize(("number", "block"), enumerate(PYTHON_BLOCKS), ids=map(str, PYTHON_BLOCKS))
def test_types_of_block_are_right(number: int, block: CodeBlock, type_errors: list[str]) -> None:
    assert [line for line in type_errors if f"block_{number}.py" in line] == [], block.module()


@pytest.mark.parametrize("block", [b for b in PYTHON_BLOCKS if not b.not_run], ids=str)
@pytest.mark.usefixtures("airflow_db")
def test_python_block_runs(block: CodeBlock, emulator, tmp_path) -> None:
    module = block.module()
    if "def test_" in module:
        run_tests(module, tmp_path)
    elif "@dag" in module:
        load_dags(module, tmp_path)
    else:
        with new_dag("of_the_reader"):
            exec(compile(module, str(block), "exec"), {"__name__": "of_the_reader"})


def run_tests(module: str, folder: Path) -> None:
    file = folder / "test_of_the_reader.py"
    file.write_text(module)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", folder, file]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def load_dags(module: str, folder: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    file = folder / "dag_of_the_reader.py"
    file.write_text(module)
    bag = DagBag(file)
    assert bag.import_errors == {}
    assert bag.dags
