"""
Searches long for two gates that count on the same credits, over the real code.

Run as ``make holds-search``. It fails if it finds one, or if it does not notice that a safeguard is gone.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tests.support.holds_search.ablations import ABLATIONS
from tests.support.holds_search.campaign import find_without, search_on_all_cores
from tests.support.holds_search.model_check import check
from tests.support.holds_search.utilisation import compare, table

MODELS: dict[str, dict[str, Any]] = {
    "two gates": {"gates": 2},
    "two gates, one error": {"gates": 2, "errors": 1},
    "two gates, a release that has been replaced": {"gates": 2, "stale_release": True},
}
#: These have millions of states.
LONG_MODELS: dict[str, dict[str, Any]] = {
    "two gates, an earlier try goes on": {"gates": 2, "stale_try": True, "looks_at_once": True},
    "three gates": {"gates": 3, "looks_at_once": True},
}


def main() -> int:
    """Print what the searches found; return 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000, help="schedules of the adversary")
    parser.add_argument("--workloads", type=int, default=40, help="workloads for each figure of the comparison")
    parser.add_argument("--long-models", action="store_true", help="also check three gates, and an earlier try")
    arguments = parser.parse_args()
    is_safe = _search(arguments.schedules)
    is_safe &= _model_checks(MODELS | LONG_MODELS if arguments.long_models else MODELS)
    notices_all = _ablations(arguments.schedules)
    if arguments.workloads:
        _say("\nMean wait in minutes (holds of 160 / of 20 and less), and credits that nobody is owed, on average:\n")
        _say(table(compare(arguments.workloads), arguments.workloads))
    return int(not (is_safe and notices_all))


def _search(schedules: int) -> bool:
    found = search_on_all_cores(schedules)
    _say(
        f"{found.schedules:,} schedules, {found.violations:,} with an over-commit, "
        f"{found.opened_percent:.1f} % of {found.pipelines:,} gates opened"
    )
    if found.first is not None:
        _say(f"first seed: {found.first} ({found.what})")
    return not found.violations


def _model_checks(models: dict[str, dict[str, Any]]) -> bool:
    is_safe = True
    for what, happens in models.items():
        checked = check(**happens)
        is_safe &= checked.path is None
        _say(f"{what}: {checked.states:,} states, {'; '.join(checked.path) if checked.path else 'no over-commit'}")
    return is_safe


def _ablations(schedules: int) -> bool:
    _say("\n| without this safeguard | the hole is found by |\n| --- | --- |")
    notices_all = True
    for ablation in ABLATIONS:
        found = find_without(ablation, schedules=schedules)
        notices_all &= found is not None
        _say(f"| {ablation.name} | {found or 'NOT FOUND'} |")
    return notices_all


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what it is run for


if __name__ == "__main__":
    sys.exit(main())
