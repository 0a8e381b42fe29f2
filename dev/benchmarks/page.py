"""The table of figures and its page."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from dev.benchmarks.contenders import HTTP, IDLE, OURS, POOL, PYTHON, SHARED

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
#: The page is written by hand, except what is between these two lines.
BEGIN, END = "<!-- measured by make bench -->", "<!-- end of the measured part -->"
_COLUMNS = (OURS, HTTP, SHARED, IDLE, PYTHON, POOL)
_PACKAGES = ("apache-airflow", "apache-airflow-providers-http", "apache-airflow-providers-standard", "requests")


@dataclass
class Results:
    """
    What was measured.

    :param rows: the figure of each contender, by measure and number of waiting tasks.
    """

    rows: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)

    def add(self, contender: str, tasks: int, figures: Mapping[str, float]) -> None:
        """Add the figures of one contender, by measure."""
        for measure, figure in figures.items():
            self.rows.setdefault((measure, tasks), {})[contender] = figure


def table(results: Results) -> str:
    """Return the results and their ratios in Markdown."""
    head = ("measure", "tasks", *_COLUMNS, f"{HTTP} / {OURS}", f"{OURS}, growth")
    measures = list(dict.fromkeys(measure for measure, _ in results.rows))
    ordered = sorted(results.rows, key=lambda row: (measures.index(row[0]), row[1]))
    lines = [head, *(_cells(results, measure, tasks) for measure, tasks in ordered)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def machine() -> str:
    """Return the date, the machine and the versions."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {os.cpu_count()} cores, {memory:.0f} GiB, {system}, "
        f"Python {platform.python_version()}, {versions}."
    )


def write_page(figures: str) -> None:
    """Replace the measured part of the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{machine()}\n\n{END}{after}", encoding="utf-8")


def _cells(results: Results, measure: str, tasks: int) -> tuple[str, ...]:
    figures = results.rows[measure, tasks]
    ours, http = figures.get(OURS), figures.get(HTTP)
    smaller = [
        row[OURS] for (name, fewer), row in results.rows.items() if name == measure and fewer < tasks and OURS in row
    ]
    return (
        measure,
        f"{tasks:,}" if tasks else "-",
        *(_spell(figures.get(column)) for column in _COLUMNS),
        _ratio(http, ours),
        _ratio(ours, smaller[-1] if smaller else None),
    )


def _ratio(one: float | None, other: float | None) -> str:
    return _spell(one / other if one is not None and other else None)


def _spell(figure: float | None) -> str:
    """Return three significant digits, such as 6,310."""
    return "-" if figure is None else f"{float(f'{figure:.3g}'):,g}"
