"""Run the credit gate in Airflow, and you pay."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow.api import FINISHED
from dev.airflow.processes import end_on_sigterm
from dev.demo.console import number, say, styled
from dev.demo.environment import CONN_ID, CREDITS_AT_START, DAG_ID, STARTING, environment
from dev.demo.observer import GATE_TASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.demo.environment import Environment

_POLL_SECONDS = 1


def main() -> int:
    """Start everything, and report until Ctrl-C."""
    argparse.ArgumentParser(prog="python -m dev.demo.ui", description=__doc__).parse_args()
    end_on_sigterm()
    say(STARTING)
    with tempfile.TemporaryDirectory(prefix="videodb-ui-", ignore_cleanup_errors=True) as home:
        try:
            with environment(Path(home)) as env:
                _introduce(env)
                _report(env)
        except KeyboardInterrupt:
            say("\nEverything that was started is stopped and deleted.")
    return 0


def _introduce(env: Environment) -> None:
    run = env.airflow.api.trigger(DAG_ID)
    page = f"{env.airflow.url}/dags/{DAG_ID}/runs/{run.run_id}"
    say(f"""
  Airflow     {styled(env.airflow.url, "bold")}
              There is no login: you are its admin.
  VideoDB     {styled(env.emulator.base_url, "bold")}
              This local emulator shows its balance, checkouts and calls. No real money is spent.
  Connection  {CONN_ID}
              Airflow reads it from the environment (AIRFLOW_CONN_{CONN_ID.upper()}),
              so Admin > Connections does not list it.

A run of {DAG_ID} has started. {CREDITS_AT_START} credits are too few for it, so its task {GATE_TASK} asks you to pay.
  Run         {page}
  Pay         Open the link that appears below, or press the button on the task's page:
              {page}/tasks/{GATE_TASK}/details
  Stop        Press Ctrl-C here.
""")


def _report(env: Environment) -> None:
    """Print new links, payments and finished runs."""
    reported: set[str] = set()
    while True:
        for key, text in (*_checkouts(env), *_runs(env)):
            if key not in reported:
                reported.add(key)
                say(f"{time.strftime('%H:%M:%S')}  {text}")
        time.sleep(_POLL_SECONDS)


def _checkouts(env: Environment) -> Iterator[tuple[str, str]]:
    for checkout in reversed(env.emulator.checkouts()):
        link = env.emulator.payment_url(checkout.id)
        news = f"pay here: {styled(link, 'bold')}" if checkout.status == "pending" else checkout.status
        yield f"{checkout.id} {checkout.status}", f"top-up of {checkout.amount} USD: {news}"


def _runs(env: Environment) -> Iterator[tuple[str, str]]:
    runs = env.airflow.api.request("GET", "/dags/~/dagRuns", params={"order_by": "run_after"})["dag_runs"]
    balance = number(env.emulator.balance)
    for run in runs:
        if run["state"] in FINISHED:
            text = f"run of {run['dag_id']}: {run['state']}; the account has {balance} credits"
            yield f"{run['dag_id']} {run['dag_run_id']} {run['state']}", text


if __name__ == "__main__":
    sys.exit(main())
