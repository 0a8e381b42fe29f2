"""Imports operators and sensors, as DAG files do."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from dev.benchmarks.contenders import HTTP, OURS, PYTHON

_MODULES = {
    OURS: ("airflow_provider_videodb.sensors.credits", "airflow_provider_videodb.operators.ensure_credits"),
    HTTP: ("airflow.providers.http.sensors.http", "airflow.providers.http.operators.http"),
    PYTHON: ("airflow.providers.standard.sensors.python", "airflow.providers.standard.operators.python"),
}
#: Every DAG file has loaded these two already.
_PROGRAM = """
import sys, time, airflow.sdk, airflow.providers.common.compat.sdk
loaded, began = set(sys.modules), time.perf_counter()
import {modules}
print([(time.perf_counter() - began) * 1000, len(set(sys.modules) - loaded)])
"""


def measure_imports(runs: int) -> dict[str, dict[str, float]]:
    """
    Import in fresh interpreters and count the modules.

    The contenders take turns, so that a busy moment of the machine affects all of them.

    :return: the figures by contender and measure.
    """
    seen: dict[str, dict[str, list[list[float]]]] = {}
    for _ in range(runs):
        for contender, (sensor, operator) in _MODULES.items():
            for what, modules in (("a sensor", sensor), ("a sensor and an operator", f"{sensor}, {operator}")):
                seen.setdefault(contender, {}).setdefault(what, []).append(_import(modules))
    figures: dict[str, dict[str, float]] = {}
    for contender, costs in seen.items():
        figures[contender] = {f"importing {what}, modules": cost[-1][1] for what, cost in costs.items()}
        for what, cost in costs.items():
            figures[contender][f"importing {what}, ms"] = statistics.median(milliseconds for milliseconds, _ in cost)
    return figures


def _import(modules: str) -> list[float]:
    """Return milliseconds and the number of modules."""
    done = subprocess.run(  # noqa: S603 - the modules are named above
        [sys.executable, "-c", _PROGRAM.format(modules=modules)],
        env=os.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    cost: list[float] = json.loads(done.stdout.splitlines()[-1])
    return cost
