"""`python -m dev.benchmarks`: measure everything, print the table and write the page."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from dev.airflow.processes import end_on_sigterm
from dev.benchmarks.environment import adopt_airflow
from dev.benchmarks.plan import FULL, QUICK
from dev.demo.console import say

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def main() -> int:
    """Run, and return 0 once everything was measured, whatever the figures are."""
    options = _options()
    plan = QUICK if options.quick else FULL
    output: Path | None = options.output or (None if options.quick else _PAGE)
    end_on_sigterm()
    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="videodb-bench-"))
    adopt_airflow(home)

    from dev.benchmarks.growth import growth
    from dev.benchmarks.machine import machine
    from dev.benchmarks.measure import measure
    from dev.benchmarks.report import page, table
    from dev.benchmarks.rows import rows

    results = measure(plan, home)
    lines, grown = rows(plan, results), growth(plan, results)
    say(f"\n{table(lines)}\n\n{table(grown)}\n")
    if output is not None:
        output.write_text(page(plan, lines=lines, growth=grown, machine=machine()), encoding="utf-8")
        say(f"Written to {output}.")
    missed = [f"{row.measure} ({row.at})" for row in (*lines, *grown) if row.reached is False]
    say(f"Not reached: {'; '.join(missed)}" if missed else "All reached.")
    say(f"Took {time.monotonic() - began:.0f} s.")
    shutil.rmtree(home, ignore_errors=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything runs; writes no page by itself")
    parser.add_argument("--output", type=Path, help=f"the page to write; {_PAGE.name} in docs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
