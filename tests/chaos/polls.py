"""Telling the triggerers' calls from the workers': by watching while no task runs on a worker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.chaos.evidence import Window
from tests.chaos.scale import POLL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_videodb.emulator.server import Emulator
    from dev.airflow.api import DagRun

#: What the triggers of a kind ask for.
PATHS = ("/billing/usage", "/billing/checkouts")
WINDOW_SECONDS = 6 * POLL_SECONDS


def watch_polls(run: DagRun, emulators: Mapping[str, Emulator], *, triggerers: int) -> Window:
    """Watch the calls of a run whose tasks all wait, for a few intervals; workers make none, or it shows."""
    start = datetime.now(UTC)
    time.sleep(WINDOW_SECONDS)
    end = datetime.now(UTC)
    return Window(
        triggerers=triggerers,
        seconds=(end - start).total_seconds(),
        interval=POLL_SECONDS,
        started=len(run.events(event="running", after=start.isoformat(), before=end.isoformat())),
        calls={
            f"GET {path} of account {name}": [
                call.wall_time for call in emulator.calls("GET", path) if start <= call.wall_time < end
            ]
            for name, emulator in emulators.items()
            for path in PATHS
        },
    )
