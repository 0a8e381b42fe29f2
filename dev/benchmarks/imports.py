"""What a DAG file pays at every parse for importing the operators and sensors of a provider."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

#: What every DAG file has loaded already.
_BEFORE = "import airflow.sdk, airflow.providers.common.compat.sdk"
#: What must not be loaded with ours: it is for the time when a task runs, or for tests.
UNWANTED = ("requests", "fastapi", "airflow_provider_videodb.emulator")

SENSOR, BOTH = "sensor", "operators and sensor"
STATEMENTS = {
    ("ours", SENSOR): "import airflow_provider_videodb.sensors.credits",
    (
        "ours",
        BOTH,
    ): "import airflow_provider_videodb.operators.ensure_credits, airflow_provider_videodb.sensors.credits",
    ("HttpSensor", SENSOR): "import airflow.providers.http.sensors.http",
    ("HttpSensor", BOTH): "import airflow.providers.http.operators.http, airflow.providers.http.sensors.http",
    ("PythonSensor", SENSOR): "import airflow.providers.standard.sensors.python",
    ("PythonSensor", BOTH): (
        "import airflow.providers.standard.operators.python, airflow.providers.standard.sensors.python"
    ),
}

_PROGRAM = """
import json, sys, time
{before}
loaded, began = set(sys.modules), time.perf_counter()
{statement}
seconds = time.perf_counter() - began
print(json.dumps({{"seconds": seconds, "modules": sorted(set(sys.modules) - loaded)}}))
"""


@dataclass(frozen=True, kw_only=True)
class ImportCost:
    """
    What an import adds to what every DAG file has loaded.

    :param milliseconds: the median of several runs.
    :param unwanted: which of `UNWANTED` it loads.
    """

    modules: int
    milliseconds: float
    unwanted: tuple[str, ...]


def measure_imports(runs: int) -> dict[tuple[str, str], ImportCost]:
    """Import each in a fresh interpreter, in turns, so that a busy moment of the machine hits all of them."""
    seconds: dict[tuple[str, str], list[float]] = {which: [] for which in STATEMENTS}
    modules: dict[tuple[str, str], list[str]] = {}
    for _ in range(runs):
        for which, statement in STATEMENTS.items():
            seen = _import(statement)
            seconds[which].append(seen["seconds"])
            modules[which] = seen["modules"]
    return {
        which: ImportCost(
            modules=len(modules[which]),
            milliseconds=statistics.median(seconds[which]) * 1000,
            unwanted=tuple(name for name in UNWANTED if name in modules[which]),
        )
        for which in STATEMENTS
    }


def _import(statement: str) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - the statements are above
        [sys.executable, "-c", _PROGRAM.format(before=_BEFORE, statement=statement)],
        env=os.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen
