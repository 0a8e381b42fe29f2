"""
Build the wheel, read it, and install it in an empty environment.

`make matrix` installs it with each supported Airflow.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from airflow_provider_videodb import __version__
from dev.matrix.cells import Release, claimed_pythons
from tests.support.dists import ROOT, build, run
from tests.support.source import imports_of

DIST_INFO = f"airflow_provider_videodb-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist")).wheel


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
    assert {Path(name).suffix for name in expected} == {".html", ".js", ".py", ".svg", ".typed"}


def test_wheel_describes_itself_in_these_files(files):
    assert {name.removeprefix(f"{DIST_INFO}/") for name in files if name.startswith(DIST_INFO)} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "licenses/NOTICE",
    }


def test_each_folder_of_the_wheel_is_a_package(files):
    folders = {name.rpartition("/")[0] for name in files if name.endswith(".py")}
    assert {folder for folder in folders if f"{folder}/__init__.py" not in files} == set()


def test_metadata_is_complete(metadata):
    # A newer version is refused by tools that are older than it.
    assert metadata["Metadata-Version"] == "2.4"
    assert metadata["Name"] == "airflow-provider-videodb"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE", "NOTICE"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert {
        "Framework :: Apache Airflow",
        "Framework :: Apache Airflow :: Provider",
        "Typing :: Typed",
    } <= set(metadata.get_all("Classifier"))
    assert metadata["Requires-Python"] == f">={claimed_pythons()[0]}"
    addresses = dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL"))
    assert {"Documentation", "Source", "Changelog", "Bug Tracker"} <= set(addresses)
    assert all(address.startswith("https://") for address in addresses.values())


def test_description_links_no_file_of_the_repository(metadata):
    """PyPI shows the description without the repository around it."""
    targets = re.findall(r"\]\(([^)\s]+)", metadata.get_payload())
    assert f"https://github.com/video-db/airflow-provider-videodb/blob/v{__version__}/CHANGELOG.md" in targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    shown = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", metadata.get_payload())
    assert [image for image in shown if not image.startswith("https://raw.githubusercontent.com/")] == []


def test_version_is_written_in_one_line():
    written = [
        (file.relative_to(ROOT).as_posix(), line)
        for pattern in ("*.toml", "docs/conf.py", "noxfile.py", "Makefile", "airflow_provider_videodb/**/*.py")
        for file in ROOT.glob(pattern)
        for line in file.read_text().splitlines()
        if re.search(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])", line)
    ]
    assert written == [("airflow_provider_videodb/__init__.py", f'__version__ = "{__version__}"')]


def test_requirements_have_lower_bounds_only(metadata):
    needed = [line.replace(" ", "") for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    # `make matrix` tests the wheel with this release.
    assert f"apache-airflow>={Release.read_all()[0].airflow}" in needed
    assert not [line for line in needed if re.search(r"<|==|~=", line)]


def test_imported_packages_are_required(metadata):
    """Only the emulator and the page in Airflow's UI may import what Airflow brings."""
    required = {
        re.split(r"[^A-Za-z0-9-]", line)[0] for line in metadata.get_all("Requires-Dist") if "extra ==" not in line
    }
    modules = {"airflow", "airflow_provider_videodb"} | {name.replace("-", "_") for name in required}
    allowed = modules | sys.stdlib_module_names
    imported = set()
    for file in (ROOT / "airflow_provider_videodb").rglob("*.py"):
        if not {"emulator", "plugins", "web"} & set(file.relative_to(ROOT).parts):
            imported |= {module.split(".")[0] for module in imports_of(file)}
    # The extra [sdk] has it. `VideoDBHook.get_sdk()` says how to install it.
    assert imported - allowed == {"videodb"}


def test_wheel_has_one_command_and_the_entry_points_of_airflow_and_pytest(wheel):
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(f"{DIST_INFO}/entry_points.txt").decode().split("\n")
    assert [line for line in lines if line] == [
        "[console_scripts]",
        "videodb-emulator = airflow_provider_videodb.emulator.__main__:main",
        "[airflow.plugins]",
        "videodb = airflow_provider_videodb.plugins.videodb:VideoDBPlugin",
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
