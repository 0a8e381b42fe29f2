from __future__ import annotations

import json
import re
from importlib.metadata import metadata, version

import pytest
from packaging.specifiers import SpecifierSet

from dev.matrix.cells import ROOT, Release, all_cells, cell_name, claimed_pythons
from dev.matrix.summary import main

RELEASES = Release.read_all()


def report(folder, **results):
    file = folder / "report.json"
    file.write_text(json.dumps({"sessions": [{"name": name, "result": result} for name, result in results.items()]}))
    return file


def test_newest_airflow_runs_on_each_claimed_python():
    assert RELEASES[-1].pythons == claimed_pythons() != []


def test_each_cell_has_its_name_once():
    names = [cell_name(release, python) for release, python in all_cells()]
    assert len(set(names)) == len(names)
    assert {"3.1.3-py3.11", "3.3.2-py3.13"} <= set(names)


def test_python_is_left_out_if_airflow_cannot_run_on_it():
    release = Release("3.1.3", "2025-11-21", "3.12", "constraints/airflow-3.1.3.txt")
    assert release.pythons == ["3.11", "3.12"]


def test_installed_airflow_supports_the_pythons_of_its_line():
    """Each cell runs this test, so each line of releases.txt is checked."""
    found = [release for release in RELEASES if release.airflow == version("apache-airflow")]
    if not found:
        pytest.skip("constraints/releases.txt does not name this Airflow, which the leg `newest` installs")
    supported = SpecifierSet(metadata("apache-airflow")["Requires-Python"])
    major, minor = found[0].newest_python.split(".")
    assert f"{major}.{minor}" in supported
    assert f"{major}.{int(minor) + 1}" not in supported


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.airflow)
def test_constraints_pin_airflow_and_name_no_address(release):
    lines = (ROOT / release.constraints).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert f"apache-airflow=={release.airflow}" in pins
    assert [line for line in pins if not re.match(r"[a-zA-Z0-9._-]+==[^ @/]+( ; |$)", line)] == []


def test_last_patch_has_the_file_of_its_minor_version():
    assert [release.constraints for release in RELEASES if release.airflow.startswith("3.1.")] == [
        "constraints/airflow-3.1.3.txt",
        "constraints/airflow-3.1.txt",
    ]


def test_no_other_constraints_exist():
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "constraints").glob("airflow-*.txt")}
    assert files == {release.constraints for release in RELEASES}


def test_docs_name_the_pythons_and_the_day_of_each_release():
    page = (ROOT / "docs" / "compatibility.md").read_text()
    rows = re.findall(r"^\| (\d[\d.]+)(?:, the oldest)? \| ([\d., ]+) \| those of (\S+) \|$", page, re.MULTILINE)
    assert rows == [(release.airflow, ", ".join(release.pythons), release.day) for release in RELEASES]


@pytest.mark.parametrize("page", ["README.md", "docs/compatibility.md", "docs/quickstart.md"])
def test_page_names_the_oldest_airflow(page):
    named = re.findall(r"needs? Airflow (\S+) or newer", (ROOT / page).read_text())
    assert named == [RELEASES[0].airflow]


def test_summary_passes_if_each_cell_passed(tmp_path, capsys):
    assert main(report(tmp_path, wheel="success", cell="success")) == 0
    assert capsys.readouterr().out == "\n1 passed: cell\n"


def test_cell_without_interpreter_did_not_pass(tmp_path, capsys):
    assert main(report(tmp_path, wheel="success", tested="success", absent="skipped")) == 1
    assert capsys.readouterr().out == "\n1 passed: tested\n1 had no interpreter: absent\n"


@pytest.mark.parametrize("result", ["failed", "aborted"])
def test_failed_cell_fails_the_matrix(tmp_path, result):
    assert main(report(tmp_path, tested="success", broken=result)) == 1
