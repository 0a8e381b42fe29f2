"""Run the credit gate, pay, and check the run."""

from __future__ import annotations

import argparse
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
from dev.demo.environment import CREDITS_AT_START, DAG_ID, STARTING, environment
from dev.demo.observer import Observer, describe_calls
from dev.demo.payer import pay
from dev.demo.timeline import Moment, Timeline

if TYPE_CHECKING:
    from dev.airflow.api import DagRun

_PAYER_SECONDS = 6
_POLL_SECONDS = 0.25
_GIVE_UP_SECONDS = 100


def main() -> int:
    """Run the demo. Return 0 if all checks passed."""
    argparse.ArgumentParser(prog="python -m dev.demo.run", description=__doc__).parse_args()
    end_on_sigterm()
    home = Path(tempfile.mkdtemp(prefix="videodb-demo-"))
    passed = False
    try:
        passed = _run(home)
    except KeyboardInterrupt:
        say("\nInterrupted. Everything that was started is stopped.")
    except (ProcessDiedError, AirflowApiError, TimeoutError) as error:
        say(f"\n{error}\n")
    finally:
        if passed:
            shutil.rmtree(home, ignore_errors=True)
        else:
            say(f"Next step: read the logs of Airflow and of the tasks in\n{home / 'logs'}")
    return 0 if passed else 1


def _run(home: Path) -> bool:
    began = time.monotonic()
    say(STARTING)
    with environment(home) as env:
        say(
            f"Ready after {time.monotonic() - began:.0f} s. The DAG {DAG_ID} starts with {CREDITS_AT_START} credits, "
            f"which are too few.\nA stand-in for you pays {_PAYER_SECONDS} s after it finds the payment link.\n"
        )
        run = env.airflow.api.trigger(DAG_ID)
        observer = Observer(env, run)
        _watch(run, observer)
        say(f"\nVideoDB received {describe_calls(env.emulator)}.\n")
        checks = check_run(env, run, observer.evidence)
        _print_failures(run)
    checks.append(check_key(env))
    for check in checks:
        mark = styled("✓", "green") if check.passed else styled("✗", "red")
        say(f" {mark} {check.what}: {styled(check.seen, 'dim')}")
    failed = sum(not check.passed for check in checks)
    result, style = (f"{failed} of {len(checks)} checks failed", "red") if failed else ("All checks passed", "green")
    say(f"\n{styled(result, style)} in {time.monotonic() - began:.0f} s. Everything that was started is stopped.")
    if not failed:
        say("Next step: run `make ui` to look around in Airflow and to pay yourself.")
    return failed == 0


def _watch(run: DagRun, observer: Observer) -> None:
    """Print what happens until the end, and pay."""
    timeline = Timeline(datetime.now(UTC))
    payer = _Payer()
    give_up = time.monotonic() + _GIVE_UP_SECONDS
    finished = False
    while not finished and time.monotonic() < give_up:
        # Read the state first, so that the poll after it sees the whole run.
        finished = run.state() in FINISHED
        timeline.add(observer.poll())
        timeline.add(payer.act(observer.evidence.payment_link))
        time.sleep(_POLL_SECONDS)
    timeline.finish()
    if not finished:
        say(f"\nThe run has not finished within {_GIVE_UP_SECONDS} s.")


class _Payer:
    """Pays once, seconds after the link is there."""

    def __init__(self) -> None:
        self._pays_at: float | None = None
        self._paid = False

    def act(self, link: str | None) -> list[Moment]:
        if link is None or self._paid:
            return []
        if self._pays_at is None:
            self._pays_at = time.monotonic() + _PAYER_SECONDS
        if time.monotonic() < self._pays_at:
            return []
        at = datetime.now(UTC)
        button = pay(link)
        self._paid = True
        return [Moment(at, "payer", f"opens the link and presses “{button}”", "bold")]


def _print_failures(run: DagRun) -> None:
    """Print the warnings and errors of every failed task."""
    for task in run.tasks(state="failed"):
        say(styled(f"{task['task_id']} failed:", "red"))
        for line in run.log(task["task_id"], try_number=task["try_number"], map_index=task["map_index"]):
            if line.get("level") in {"warning", "error", "critical"}:
                causes = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ()]
                say("    " + " - ".join([line["event"], *causes]))


if __name__ == "__main__":
    sys.exit(main())
