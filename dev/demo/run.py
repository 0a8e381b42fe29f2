"""`make demo`: the credit gate in a real Airflow, watched live, with a payer who pays after a few seconds."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dev.airflow.api import FINISHED, AirflowApiError
from dev.airflow.processes import ProcessDiedError, end_on_sigterm
from dev.demo.checks import check_key, check_run
from dev.demo.console import say, styled
from dev.demo.environment import DAG_ID, stage
from dev.demo.observer import Observer, calls_in_words
from dev.demo.payer import pay
from dev.demo.timeline import Moment, Timeline

if TYPE_CHECKING:
    from dev.airflow.api import DagRun

PAYER_TAKES_SECONDS = 6
LOOK_EVERY_SECONDS = 0.25
GIVE_UP_SECONDS = 100


def main() -> int:
    """Run the demo and return the exit code: 0 if everything was as promised."""
    end_on_sigterm()
    home = Path(tempfile.mkdtemp(prefix="videodb-demo-"))
    kept = False
    try:
        kept = _play(home)
    except KeyboardInterrupt:
        say("\nInterrupted; everything that was started is stopped.")
    except (ProcessDiedError, AirflowApiError, TimeoutError) as error:
        say(f"\n{error}\n")
    finally:
        if kept:
            shutil.rmtree(home, ignore_errors=True)
        else:
            say(f"The logs of Airflow and of the tasks are in {home / 'logs'}.")
    return 0 if kept else 1


def _play(home: Path) -> bool:
    began = time.monotonic()
    say("Starting the VideoDB emulator and Airflow (API server, scheduler, DAG processor, triggerer) on 127.0.0.1 ...")
    with stage(home) as on_stage:
        say(f"Ready after {time.monotonic() - began:.0f} s. Starting a run of {DAG_ID}.\n")
        run = on_stage.airflow.api.trigger(DAG_ID)
        observer = Observer(on_stage, run)
        _watch(run, observer)
        say(f"\nCalls at VideoDB: {calls_in_words(on_stage.emulator.calls())}.\n")
        promises = check_run(on_stage, run, observer.evidence)
        _show_failures(run)
    promises.append(check_key(on_stage))
    for promise in promises:
        mark = styled("✓", "green") if promise.kept else styled("✗", "red")
        say(f" {mark} {promise.promise}: {styled(promise.evidence, 'dim')}")
    kept = all(promise.kept for promise in promises)
    verdict = styled("Everything as promised", "green") if kept else styled("NOT as promised", "red")
    say(f"\n{verdict}, in {time.monotonic() - began:.0f} s. Everything that was started is stopped.")
    return kept


def _watch(run: DagRun, observer: Observer) -> None:
    """Follow the run to its end, and pay when the payer has had the link for a few seconds."""
    timeline = Timeline(datetime.now(UTC))
    payer = _Payer()
    give_up = time.monotonic() + GIVE_UP_SECONDS
    finished = False
    while not finished and time.monotonic() < give_up:
        # Asked before looking: the last look then sees everything.
        finished = run.state() in FINISHED
        timeline.add(observer.look())
        timeline.add(payer.turn(observer.evidence.payment_link))
        time.sleep(LOOK_EVERY_SECONDS)
    timeline.finish()
    if not finished:
        say(f"\nThe run is not finished after {GIVE_UP_SECONDS} s: giving up.")


class _Payer:
    """Finds the payment link, takes a few seconds to get there, and pays once."""

    def __init__(self) -> None:
        self._pays_at: float | None = None
        self._paid = False

    def turn(self, link: str | None) -> list[Moment]:
        if link is None or self._paid:
            return []
        if self._pays_at is None:
            self._pays_at = time.monotonic() + PAYER_TAKES_SECONDS
        if time.monotonic() < self._pays_at:
            return []
        at = datetime.now(UTC)
        button = pay(link)
        self._paid = True
        return [Moment(at, "payer", f"opens the link and presses “{button}”", "bold")]


def _show_failures(run: DagRun) -> None:
    """Print what the log of every failed task complains about."""
    for task in run.tasks():
        if task["state"] != "failed":
            continue
        say(styled(f"{task['task_id']} failed:", "red"))
        for line in run.log(task["task_id"], try_number=task["try_number"], map_index=task["map_index"]):
            if line.get("level") in {"warning", "error", "critical"}:
                causes = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ()]
                say("    " + " - ".join([line["event"], *causes]))


if __name__ == "__main__":
    sys.exit(main())
