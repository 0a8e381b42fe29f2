"""
Check the installed wheel and its Airflow.

It loads the package as Airflow's processes do.

usage: python -m dev.matrix.check_install AIRFLOW, the version that must be installed, or "newest"
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
import sysconfig
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING

from airflow import sdk

import airflow_provider_videodb

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = ("apache-airflow-providers-common-compat", "asgiref", "pendulum", "requests", "tenacity", "urllib3")


def main(wanted: str) -> None:
    """Fail, or print one line with the versions."""
    airflow = version("apache-airflow")
    if wanted not in {airflow, "newest"}:
        raise SystemExit(f"Airflow {airflow} was installed in place of {wanted}.")
    place = Path(airflow_provider_videodb.__file__)
    if not place.is_relative_to(sysconfig.get_path("purelib")):
        raise SystemExit(f"The source was imported from {place.parent} instead of the wheel.")
    for name in module_names():
        import_module(name)
    import_lazy_names_of_common_compat()
    read_connection_as_a_trigger()
    listed = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", "list", "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if "airflow-provider-videodb" not in listed:
        raise SystemExit(f"Airflow {airflow} does not list the provider:\n{listed}")
    print(f"Airflow {airflow}:", ", ".join(f"{name} {version(name)}" for name in PACKAGES))  # noqa: T201 - a command


def module_names() -> list[str]:
    """Name each module that this Airflow loads, so not the emulator."""
    package = airflow_provider_videodb
    names = [module.name for module in walk_packages(package.__path__, f"{package.__name__}.")]
    # Before Airflow 3.3, there are no retry policies, and the import says so.
    others = [".emulator"] if hasattr(sdk, "RetryPolicy") else [".emulator", ".policies."]
    return [name for name in names if not any(other in name for other in others)]


def import_lazy_names_of_common_compat() -> None:
    """Import the names that functions import when they run."""
    for file in Path(airflow_provider_videodb.__file__).parent.rglob("*.py"):
        for statement in imports_that_run(ast.parse(file.read_text(encoding="utf-8"))):
            if (statement.module or "").startswith("airflow.providers.common.compat"):
                module = import_module(str(statement.module))
                for name in statement.names:
                    getattr(module, name.name)


def imports_that_run(node: ast.AST) -> Iterator[ast.ImportFrom]:
    """Yield the imports below ``node``, without those for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from imports_that_run(child)


def read_connection_as_a_trigger() -> None:
    """Read the connection through the one Airflow call that only triggers use."""
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

    os.environ["AIRFLOW_CONN_VIDEODB_DEFAULT"] = json.dumps({"conn_type": "videodb", "password": "sk-test"})
    asyncio.run(VideoDBBillingHook().aget_poll_client())


if __name__ == "__main__":
    main(*sys.argv[1:])
