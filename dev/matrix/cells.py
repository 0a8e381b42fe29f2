"""
The cells of `make matrix`.

Each supported Airflow is tested with each supported Python.

usage: python -m dev.matrix.cells       (prints them as JSON, for a workflow)
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
_PYTHON = "Programming Language :: Python :: 3."


@dataclass(frozen=True)
class Release:
    """
    A line of `constraints/releases.txt`.

    :param day: the packages of this day are installed with it.
    :param newest_python: the newest Python that this Airflow supports.
    :param constraints: the file that pins Airflow and these packages.
    """

    airflow: str
    day: str
    newest_python: str
    constraints: str

    @classmethod
    def read_all(cls) -> list[Self]:
        """Return all releases, the oldest first."""
        text = (ROOT / "constraints" / "releases.txt").read_text(encoding="utf-8")
        lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        # The last patch of a minor version is named after the minor version, so that its file keeps its name.
        last = {_minor(airflow): airflow for airflow, _, _ in lines}
        return [
            cls(
                airflow,
                day,
                newest_python,
                f"constraints/airflow-{_minor(airflow) if last[_minor(airflow)] == airflow else airflow}.txt",
            )
            for airflow, day, newest_python in lines
        ]

    @property
    def pythons(self) -> list[str]:
        """The Pythons of `pyproject.toml` that this Airflow supports."""
        return [python for python in claimed_pythons() if _number(python) <= _number(self.newest_python)]


def claimed_pythons() -> list[str]:
    """Return the Pythons that `pyproject.toml` names, the oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name.rpartition(" ")[2] for name in project["classifiers"] if name.startswith(_PYTHON)]


def all_cells() -> list[tuple[Release, str]]:
    """Return each Airflow with each of its Pythons."""
    return [(release, python) for release in Release.read_all() for python in release.pythons]


def cell_name(release: Release, python: str) -> str:
    """Name a cell as `make matrix CELL=…` takes it."""
    return f"{release.airflow}-py{python}"


def _minor(airflow: str) -> str:
    return airflow.rpartition(".")[0]


def _number(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split("."))


if __name__ == "__main__":
    listed = [{"cell": cell_name(release, python), "python": python} for release, python in all_cells()]
    print(json.dumps(listed))  # noqa: T201 - a command
