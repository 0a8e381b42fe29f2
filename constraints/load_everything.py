"""
Load what a DAG file, a worker, a triggerer, the web interface and the CLI load.

usage: load_everything.py AIRFLOW, the version that has to be found
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import airflow_provider_videodb

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (
    "api.client",
    "hooks.billing",
    "links.checkout",
    "operators.ensure_credits",
    "purchases.executor",
    "sensors.credits",
)
PACKAGES = ("apache-airflow-providers-common-compat", "asgiref", "pendulum", "requests", "tenacity", "urllib3")


def main(wanted: str) -> None:
    """Fail loudly, or print one line that names what was found."""
    if version("apache-airflow") != wanted:
        raise SystemExit(f"Airflow {version('apache-airflow')} was installed in place of {wanted}.")
    for name in (*MODULES, "triggers.billing", "triggers.polling", "variables"):
        import_module(f"airflow_provider_videodb.{name}")
    every_name_of_common_compat_is_there()
    a_trigger_reads_its_connection()
    listed = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", "list", "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "airflow-provider-videodb" not in listed:
        raise SystemExit(f"Airflow {wanted} does not list the provider:\n{listed}")
    print(f"Airflow {wanted}:", ", ".join(f"{name} {version(name)}" for name in PACKAGES))  # noqa: T201 - a command


def every_name_of_common_compat_is_there() -> None:
    """Import what functions import when they run, which importing the modules leaves out."""
    for file in Path(airflow_provider_videodb.__file__).parent.rglob("*.py"):
        for statement in imports_that_run(ast.parse(file.read_text(encoding="utf-8"))):
            if (statement.module or "").startswith("airflow.providers.common.compat"):
                module = import_module(str(statement.module))
                for name in statement.names:
                    getattr(module, name.name)


def imports_that_run(node: ast.AST) -> Iterator[ast.ImportFrom]:
    """Yield the imports below ``node`` but for those that type checkers alone read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from imports_that_run(child)


def a_trigger_reads_its_connection() -> None:
    """Go the one way into Airflow that a trigger takes and nothing else does."""
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

    os.environ["AIRFLOW_CONN_VIDEODB_DEFAULT"] = json.dumps({"conn_type": "videodb", "password": "sk-test"})
    asyncio.run(VideoDBBillingHook().aget_poll_client())


if __name__ == "__main__":
    main(*sys.argv[1:])
