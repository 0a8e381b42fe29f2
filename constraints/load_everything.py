"""
Load what a DAG file, a worker, a triggerer, the web interface and the CLI load.

usage: load_everything.py AIRFLOW, the version that has to be found
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from importlib.metadata import version

MODULES = ("buyer", "client", "hooks.billing", "journal", "links.billing", "operators.billing", "sensors.billing")
PACKAGES = ("apache-airflow-providers-common-compat", "asgiref", "pendulum", "requests", "tenacity", "urllib3")


def main(wanted: str) -> None:
    """Fail loudly, or print one line that names what was found."""
    if version("apache-airflow") != wanted:
        raise SystemExit(f"Airflow {version('apache-airflow')} was installed in place of {wanted}.")
    for name in (*MODULES, "triggers.billing", "triggers.polling", "variables"):
        __import__(f"airflow_provider_videodb.{name}")
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


def a_trigger_reads_its_connection() -> None:
    """Go the one way into Airflow that a trigger takes and nothing else does."""
    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

    os.environ["AIRFLOW_CONN_VIDEODB_DEFAULT"] = json.dumps({"conn_type": "videodb", "password": "sk-test"})
    asyncio.run(VideoDBBillingHook().aget_poll_client())


if __name__ == "__main__":
    main(*sys.argv[1:])
