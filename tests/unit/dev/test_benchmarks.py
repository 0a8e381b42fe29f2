"""That `make bench` runs and fills its table. What the figures are is for the machine it runs on to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEASURES = {
    "requests per poll interval": 3,
    "triggerer CPU seconds": 2,
    "memory per waiting task in the triggerer": 2,
    "wake-up: credits visible": 2,
    "event loop blocked, longest, ms": 2,
    "accounts polled in every interval": 1,
    "worker seconds per wait of one hour": 1,
    "importing": 2,
}
GROWTH = ("requests", "triggerer CPU", "memory", "wake-up", "event loop blocked")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("bench") / "page.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("measure", "lines"), MEASURES.items())
def test_every_measure_has_its_lines_with_figures_and_a_goal(page, measure, lines):
    found = [row for row in rows(page) if row[0].startswith(measure) and "→" not in row[1]]
    assert len(found) == lines
    for name, _, ours, http, *_, goal, _ in found:
        assert goal
        # Workers take a whole Airflow, which the quick run leaves out.
        assert name.startswith("worker seconds") or "-" not in {ours, http}


@pytest.mark.parametrize("measure", GROWTH)
def test_growth_is_computed(page, measure):
    (row,) = [row for row in rows(page) if row[0].startswith(measure) and row[1] == "3 → 10"]
    assert row[2].startswith("x ")


def test_the_page_names_machine_and_versions(page):
    for name in ("date", "CPU", "memory", "OS", "Python", "apache-airflow", "apache-airflow-providers-http"):
        assert f"\n- {name}: " in page


def rows(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| --", "| measure"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
