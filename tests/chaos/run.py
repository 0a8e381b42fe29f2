"""`make distributed`: a distributed Airflow that is hurt while it buys, and what it kept of what was promised."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.server import Emulator
from dev.airflow.api import AirflowApiError
from dev.airflow.processes import ProcessDiedError, end_on_sigterm
from dev.demo.console import say, styled
from tests.chaos.assertions import verdict
from tests.chaos.cluster import cluster
from tests.chaos.debian import MissingProgramsError, programs
from tests.chaos.scenario import DAG_ID, Story
from tests.chaos.services import services

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dev.demo.checks import Promise


def main() -> int:
    """Run it and return the exit code: 0 if everything was as promised."""
    end_on_sigterm()
    home = Path(tempfile.mkdtemp(prefix="videodb-distributed-"))
    kept = False
    try:
        kept = _play(home)
    except KeyboardInterrupt:
        say("\nInterrupted; everything that was started is stopped.")
    except (MissingProgramsError, ProcessDiedError, AirflowApiError, TimeoutError) as error:
        say(f"\n{error}\n")
    finally:
        if kept:
            shutil.rmtree(home, ignore_errors=True)
        else:
            say(f"The logs of the services, of Airflow and of the tasks are in {home / 'logs'}.")
    return 0 if kept else 1


def _play(home: Path) -> bool:
    began = time.monotonic()
    found = programs()
    say("Starting PostgreSQL, Redis, two workers, two triggerers and the rest of Airflow on 127.0.0.1 ...")
    with _emulators() as emulators, services(found, home / "logs") as below:
        connections = {f"videodb_{name}": emulator.connection for name, emulator in emulators.items()}
        with cluster(home, below, connections=connections) as airflow:
            airflow.api.wait_for_dag(DAG_ID)
            say(f"Ready after {time.monotonic() - began:.0f} s.\n")
            evidence = Story(airflow, emulators).play()
    promises = list(verdict(evidence))
    _print_table(promises)
    kept = all(promise.kept for promise in promises)
    word = styled("Everything as promised", "green") if kept else styled("NOT as promised", "red")
    say(f"\n{word}, in {time.monotonic() - began:.0f} s. Everything that was started is stopped.")
    return kept


@contextmanager
def _emulators() -> Iterator[dict[str, Emulator]]:
    """Run a VideoDB for each account."""
    with Emulator(credits=0) as one, Emulator(credits=0) as other:
        yield {"one": one, "other": other}


def _print_table(promises: Sequence[Promise]) -> None:
    width = max(len(promise.promise) for promise in promises)
    say(f"\n   {styled('promise'.ljust(width), 'bold')}  {styled('what was seen', 'bold')}")
    for promise in promises:
        mark = styled("✓", "green") if promise.kept else styled("✗", "red")
        say(f" {mark} {promise.promise:<{width}}  {promise.evidence}")


if __name__ == "__main__":
    sys.exit(main())
