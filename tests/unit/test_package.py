"""
Build the wheel, read it, and install it in an empty environment.

`make installable` takes minutes, because it installs the wheel with each supported Airflow.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from airflow_provider_videodb import __version__
from tests.support.source import imports_of

ROOT = Path(__file__).parents[2]
RELEASES = [
    line.split()[0]
    for line in (ROOT / "constraints" / "releases.txt").read_text().splitlines()
    if not line.startswith("#")
]
DIST_INFO = f"airflow_provider_videodb-{__version__}.dist-info"


def run(*command, cwd=None):
    # PYTHONPATH would let the child import the source instead of the wheel.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel with the installed build backend."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"{DIST_INFO}/METADATA"))


@pytest.fixture(scope="module")
def empty_environment(wheel, tmp_path_factory):
    """Install only the wheel in a new environment, and return its Python."""
    folder = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel)
    return python


def test_wheel_is_for_all_platforms(wheel):
    assert wheel.name == f"airflow_provider_videodb-{__version__}-py3-none-any.whl"


def test_wheel_holds_the_package_only(files):
    assert {name.split("/")[0] for name in files} == {"airflow_provider_videodb", DIST_INFO}


def test_wheel_holds_each_file_of_the_package(files):
    source = ROOT / "airflow_provider_videodb"
    expected = {
        file.relative_to(ROOT).as_posix()
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in files if name.startswith("airflow_provider_videodb/")} == expected
    assert {"airflow_provider_videodb/py.typed", "airflow_provider_videodb/emulator/__main__.py"} <= expected
    assert f"{DIST_INFO}/licenses/LICENSE" in files


def test_each_folder_of_the_wheel_is_a_package(files):
    folders = {name.rpartition("/")[0] for name in files if name.endswith(".py")}
    assert {folder for folder in folders if f"{folder}/__init__.py" not in files} == set()


def test_metadata_is_complete(metadata):
    assert metadata["Name"] == "airflow-provider-videodb"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert {
        "Framework :: Apache Airflow",
        "Framework :: Apache Airflow :: Provider",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Typing :: Typed",
    } <= set(metadata.get_all("Classifier"))
    addresses = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL"))
    # Airflow links the first one on its page of providers.
    assert {"Documentation", "Source", "Changelog", "Bug Tracker"} <= set(addresses)
    assert all(address.startswith("https://") for address in addresses.values())


def test_requirements_have_lower_bounds_only(metadata):
    needed = [line.replace(" ", "") for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    # `make installable` installs the wheel with this release.
    assert f"apache-airflow>={RELEASES[0]}" in needed
    assert not [line for line in needed if re.search(r"<|==|~=", line)]


def test_imported_packages_are_required(metadata):
    """Only the emulator may import what Airflow brings."""
    required = {
        re.split(r"[^A-Za-z0-9-]", line)[0] for line in metadata.get_all("Requires-Dist") if "extra ==" not in line
    }
    modules = {"airflow", "airflow_provider_videodb"} | {name.replace("-", "_") for name in required}
    allowed = modules | sys.stdlib_module_names
    imported = set()
    for file in (ROOT / "airflow_provider_videodb").rglob("*.py"):
        if "emulator" not in file.parts:
            imported |= {module.split(".")[0] for module in imports_of(file)}
    # The extra [sdk] has it. `VideoDBHook.get_sdk()` says how to install it.
    assert imported - allowed == {"videodb"}


def test_entry_points_are_those_of_airflow_and_pytest(wheel):
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(f"{DIST_INFO}/entry_points.txt").decode().split("\n")
    assert [line for line in lines if line] == [
        "[apache_airflow_provider]",
        "provider_info = airflow_provider_videodb.get_provider_info:get_provider_info",
        "[pytest11]",
        "videodb_emulator = airflow_provider_videodb.emulator.pytest_plugin",
    ]


def test_provider_info_needs_no_other_package(empty_environment, tmp_path):
    told = run(
        empty_environment,
        "-c",
        "import json; from importlib.metadata import entry_points;"
        "(entry,) = entry_points(group='apache_airflow_provider');"
        "import airflow_provider_videodb as package;"
        "print(json.dumps([entry.load()(), package.__version__, package.__file__]))",
        cwd=tmp_path,
    )
    info, version, file = json.loads(told)
    assert info["package-name"] == "airflow-provider-videodb"
    assert version == __version__
    assert not Path(file).is_relative_to(ROOT)


def test_models_need_no_other_package(empty_environment, tmp_path):
    shown = run(
        empty_environment,
        "-c",
        "from airflow_provider_videodb.api.models import Usage;"
        "print(Usage.from_api({'credit_balance': '100.5', 'usage_this_month': 1}).credit_balance)",
        cwd=tmp_path,
    )
    assert shown.strip() == "100.5"


def test_wheel_holds_no_path_of_this_machine(wheel):
    places = {str(place).encode() for place in (ROOT, Path.home(), Path(sys.prefix)) if len(place.parts) > 2}
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert [name for name, content in contents.items() for place in places if place in content] == []
