"""
Run the tests against the wheel.

`make matrix` runs all cells, and `make matrix CELL=3.1.3-py3.11` runs one. docs/compatibility.md explains the cells.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import nox

from dev.matrix.cells import ROOT, Release, all_cells, cell_name

nox.needs_version = ">=2026.8"
nox.options.default_venv_backend = "uv"
# dev/matrix/summary.py counts a cell without an interpreter as not run.
nox.options.error_on_missing_interpreters = False

# pyenv shows only the Pythons that are switched on.
if pyenv := os.environ.get("PYENV_ROOT"):
    os.environ["PYENV_VERSION"] = ":".join(sorted(path.name for path in Path(pyenv, "versions").glob("3.*")))

RELEASES = Release.read_all()
FLOOR, NEWEST = RELEASES[0], RELEASES[-1]
# A folder that has the wheel. Without it, nox builds the wheel.
GIVEN_WHEELS = os.environ.get("WHEELS")
WHEELS = ROOT / (GIVEN_WHEELS or ".nox/wheel")

# Packages that may be newer than the release: the first VideoDB SDK that get_sdk() can use, and those that only the
# benchmarks and the distributed Airflow need.
LATER_DAYS = {
    "videodb": "2026-08-01",
    "apache-airflow-providers-http": "2026-11-01",
    "apache-airflow-providers-celery": "2026-11-01",
}

GROUP = ("--group", "cell")
IN_PARALLEL = ("-n", "3")
WAITS = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "tests" / "integration").glob("test_*_waits.py"))
# One dag.test() takes a second with Airflow 3.3 and six to nine seconds below, so not every cell runs every DAG.
DEFAULT_TESTS = ("tests/unit", "tests/contract", "tests/compat", "tests/integration/test_failure_matrix.py", *WAITS)
FLOOR_TESTS = ("tests/integration/test_failure_matrix.py", "tests/live/test_unwritable_records.py")
# These tests need the source, the tools of `make lint` or the benchmarks. A cell has none of them.
WITHOUT_SOURCE_TESTS = (
    *(f"--ignore=tests/{path}" for path in ("docs", "packaging", "unit/dev/test_benchmarks.py")),
    "--deselect=tests/unit/test_imports.py::test_an_import_against_the_tree_breaks_its_contract",
)
# The folder of the tests lacks these files.
NOT_COPIED = (".*", "airflow_provider_videodb", "__pycache__", "build", "dist", "mutants")


@nox.session(python=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel, unless WHEELS names its folder."""
    if not GIVEN_WHEELS:
        shutil.rmtree(WHEELS, ignore_errors=True)
        _uv(session, "build", "--quiet", "--wheel", "--out-dir", str(WHEELS))


def cell(session: nox.Session, *, release: Release) -> None:
    """Test the wheel with this Airflow."""
    session.install("--constraint", release.constraints, f"apache-airflow=={release.airflow}", _wheel("[sdk]"), *GROUP)
    _test_wheel(session, release.airflow)


for _release, _python in all_cells():
    _session = partial(cell, release=_release)
    _session.__doc__ = f"Test with Airflow {_release.airflow} and Python {_python}."
    nox.session(name=cell_name(_release, _python), python=_python, requires=["wheel"])(_session)


@nox.session(python="3.11", requires=["wheel"])
def lowest(session: nox.Session) -> None:
    """Test with the lowest version of each direct dependency."""
    days = ("--exclude-newer", FLOOR.day, *_later_days())
    session.install(*days, "--resolution", "lowest-direct", "--requirements", "pyproject.toml")
    session.install("--no-deps", _wheel())
    _make_suite(session, FLOOR.airflow)
    # uv keeps what is installed, unless the tools of the tests need a newer version.
    session.install(*days, _wheel("[sdk]"), *GROUP)
    _test_wheel(session, FLOOR.airflow)


@nox.session(requires=["wheel"])
def newest(session: nox.Session) -> None:
    """Test with the newest version of everything."""
    session.install("apache-airflow", _wheel("[sdk]"), *GROUP)
    _test_wheel(session, "newest")


@nox.session(requires=["wheel"], default=False)
def older(session: nox.Session) -> None:
    """Run the failure matrix and the demo with the lowest Airflow."""
    session.install("--constraint", FLOOR.constraints, f"apache-airflow=={FLOOR.airflow}", _wheel("[sdk]"), *GROUP)
    _test_wheel(session, FLOOR.airflow, default=FLOOR_TESTS)


@nox.session(python=False, default=False)
def constraints(session: nox.Session) -> None:
    """Pin each Airflow and the packages of its day."""
    for release in RELEASES:
        groups = (
            ("test", "lint", "docs", "sbom", "mutation", "distributed", "matrix") if release is NEWEST else ("cell",)
        )
        pin = Path(session.create_tmp()) / "airflow.txt"
        pin.write_text(f"apache-airflow=={release.airflow}\n", encoding="utf-8")
        _uv(
            session,
            *("pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11", "--no-annotate"),
            *("--custom-compile-command", f"make constraints, as of {release.day}"),
            *("--exclude-newer", release.day, *_later_days()),
            *("--constraint", str(pin), "--extra", "sdk", *(word for group in groups for word in ("--group", group))),
            *("--output-file", release.constraints, "pyproject.toml"),
        )


def _make_suite(session: nox.Session, airflow: str) -> Path:
    """Make a folder without the source, and check there what is installed."""
    folder = Path(session.virtualenv.location) / "suite"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    session.env.update({"PYTHONPATH": None, "AIRFLOW_HOME": str(folder / "home")})
    with session.chdir(folder):
        session.run("python", "-m", "dev.matrix.check_install", airflow)
    return folder


def _test_wheel(session: nox.Session, airflow: str, *, default: tuple[str, ...] = DEFAULT_TESTS) -> None:
    """
    Run the tests and the demo in a folder without the source.

    :param airflow: the version that must be installed.
    :param default: the tests to run, unless the command line names some. Then the demo does not run.
    """
    with session.chdir(_make_suite(session, airflow)):
        session.run("python", "-m", "pytest", *IN_PARALLEL, *WITHOUT_SOURCE_TESTS, *(session.posargs or default))
        if not session.posargs:
            session.run("python", "-m", "dev.demo.run")


def _wheel(extra: str = "") -> str:
    (built,) = WHEELS.glob("*.whl")
    return f"{built}{extra}"


def _later_days() -> list[str]:
    return [word for name, day in LATER_DAYS.items() for word in ("--exclude-newer-package", f"{name}={day}")]


def _uv(session: nox.Session, *arguments: str) -> None:
    session.run(sys.executable, "-m", "uv", *arguments, external=True)
