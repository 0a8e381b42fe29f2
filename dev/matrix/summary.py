"""
Say which cells passed and which did not.

usage: python -m dev.matrix.summary REPORT, the file that `nox --report` wrote
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

#: By what nox calls it. It skips a session if its interpreter is missing.
OUTCOMES = {"success": "passed", "failed": "failed", "skipped": "had no interpreter", "aborted": "were not run"}


def main(report: Path) -> int:
    """Print the summary. Return 0 if every cell passed."""
    sessions = json.loads(report.read_text(encoding="utf-8"))["sessions"]
    lines = summarize(sessions)
    print("\n" + "\n".join(lines))  # noqa: T201 - a command
    return int(any(session["result"].lower() != "success" for session in sessions))


def summarize(sessions: Iterable[dict[str, Any]]) -> list[str]:
    """Return one line for each outcome, with its cells."""
    named: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES.values()}
    for session in sessions:
        if session["name"] != "wheel" or session["result"].lower() != "success":
            named[OUTCOMES[session["result"].lower()]].append(session["name"])
    return [f"{len(names)} {outcome}: {', '.join(names)}" for outcome, names in named.items() if names]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
