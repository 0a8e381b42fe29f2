from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dev.benchmarks import page

ROOT = Path(__file__).parents[3]
MEASURES = (
    "requests per poll interval",
    "triggerer CPU",
    "memory per task",
    "wake-up until the last event",
    "wake-up until the supervisor",
    "event loop blocked while tasks arrive",
    "event loop blocked while tasks wait",
    "event loop blocked while tasks wake up",
    "3 slow accounts: polled in every interval",
    "3 slow accounts: longest time",
    "3 slow accounts: requests",
    "importing a sensor, modules",
    "importing a sensor, ms",
    "importing a sensor and an operator, modules",
    "importing a sensor and an operator, ms",
)


@pytest.fixture(scope="module")
def printed():
    command = [sys.executable, "-m", "dev.benchmarks", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_has_figures_and_a_ratio(printed, measure):
    _, ours, http, *_, ratio, _ = cells(printed, measure)
    assert "-" not in {ours, http, ratio}


def test_collector_has_a_row_without_its_pause(printed):
    assert cells(printed, "event loop blocked while tasks wake up, ms, without gc.disable()")[1] != "-"


def test_ratio_and_growth_compare_ours():
    results = page.Results()
    for tasks, ours, http in ((1000, 2, 30), (10_000, 4, 50)):
        results.add("ours", tasks, {"seconds": ours})
        results.add("HttpSensor", tasks, {"seconds": http})

    table = page.table(results)

    assert [cells(table, "seconds")[-2:], cells(table, "seconds", row=1)[-2:]] == [["15", "-"], ["12.5", "2"]]


def test_page_keeps_its_prose(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text(f"conclusion\n\n{page.BEGIN}\nold\n{page.END}\n\nhow to read it\n")

    page.write_page("| new |")

    text = page.PAGE.read_text()
    assert "| new |" in text
    assert "old" not in text
    assert text.startswith("conclusion\n")
    assert text.endswith("\nhow to read it\n")


def cells(text: str, measure: str, *, row: int = 0) -> list[str]:
    """Return the cells of a row of the table, without its measure."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {measure}")]
    return [cell.strip() for cell in rows[row].strip("|").split("|")][1:]
