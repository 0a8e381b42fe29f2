"""`make ui`: the same stage without a payer, left open until Ctrl-C for a person to look around and to pay."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow.api import FINISHED
from dev.airflow.processes import end_on_sigterm
from dev.demo.console import number, say, styled
from dev.demo.environment import DAG_ID, stage
from dev.demo.observer import GATE_TASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.demo.environment import Stage

LOOK_EVERY_SECONDS = 1


def main() -> int:
    """Start everything, tell where it is, and stay until Ctrl-C."""
    end_on_sigterm()
    say("Starting the VideoDB emulator and Airflow (API server, scheduler, DAG processor, triggerer) on 127.0.0.1 ...")
    with tempfile.TemporaryDirectory(prefix="videodb-ui-", ignore_cleanup_errors=True) as home:
        try:
            with stage(Path(home)) as on_stage:
                _introduce(on_stage)
                _report(on_stage)
        except KeyboardInterrupt:
            say("\nEverything that was started is stopped.")
    return 0


def _introduce(on_stage: Stage) -> None:
    run = on_stage.airflow.api.trigger(DAG_ID)
    page = f"{on_stage.airflow.url}/dags/{DAG_ID}/runs/{run.run_id}"
    say(f"""
  Airflow     {styled(on_stage.airflow.url, "bold")}
  Login       none: whoever opens this address on this machine is its admin
  VideoDB     {styled(on_stage.emulator.base_url, "bold")}  (the emulator: balance, checkouts, calls)

A run of {DAG_ID} has been started; it is short of credits and will ask you to pay.
  The run     {page}
  Pay button  {page}/tasks/{GATE_TASK}/details

Start more runs in Airflow if you like. Ctrl-C stops everything.
""")


def _report(on_stage: Stage) -> None:
    """Say what happens, as it happens: a link to pay, a payment, the end of a run."""
    told: set[str] = set()
    while True:
        for what, text in (*_checkouts(on_stage), *_runs(on_stage)):
            if what not in told:
                told.add(what)
                say(f"{time.strftime('%H:%M:%S')}  {text}")
        time.sleep(LOOK_EVERY_SECONDS)


def _checkouts(on_stage: Stage) -> Iterator[tuple[str, str]]:
    for checkout in reversed(on_stage.emulator.checkouts()):
        link = on_stage.emulator.payment_url(checkout.id)
        news = f"pay here: {styled(link, 'bold')}" if checkout.status == "pending" else checkout.status
        yield f"{checkout.id} {checkout.status}", f"top-up of ${checkout.amount}: {news}"


def _runs(on_stage: Stage) -> Iterator[tuple[str, str]]:
    runs = on_stage.airflow.api.request("GET", "/dags/~/dagRuns", params={"order_by": "run_after"})["dag_runs"]
    balance = number(on_stage.emulator.balance)
    for run in runs:
        if run["state"] in FINISHED:
            text = f"{run['dag_id']}: {run['state']}; the account has {balance} credits"
            yield f"{run['dag_id']} {run['dag_run_id']} {run['state']}", text


if __name__ == "__main__":
    sys.exit(main())
