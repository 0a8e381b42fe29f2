"""Measure, print the table, and write the page."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from dev.airflow.processes import end_on_sigterm
from dev.benchmarks.children import configure_airflow
from dev.demo.console import say


def main() -> int:
    """Measure. Return 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="check that everything runs; do not write the page")
    options = parser.parse_args()
    end_on_sigterm()
    started = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="videodb-bench-"))
    configure_airflow(home)

    # These import Airflow, which reads its environment only once.
    from dev.benchmarks.measure import QUICK, Plan, measure
    from dev.benchmarks.page import PAGE, machine, table, write_page

    try:
        figures = table(measure(QUICK if options.quick else Plan(), home))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    say(f"\n{figures}\n\n{machine()}\n\nMeasured in {time.monotonic() - started:.0f} s.")
    if not options.quick:
        write_page(figures)
        say(f"The table in {PAGE} is new. Next step: check the conclusion above it against the new figures.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
