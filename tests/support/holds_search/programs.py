"""What a worker runs: the gate and the release, over the real steps of the protocol."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError, VideoDBTryOverError
from airflow_provider_videodb.holds.rules import claiming, releasing, steps
from airflow_provider_videodb.holds.rules.records import holder_of, try_of
from tests.support.holds_search.process import Act, AwaitChange, Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.holds_search.airflow import Airflow, Pipeline

#: The account's part of the keys.
ACCOUNT = "shared"
#: How often a gate tries again soon if another one raised its flag at the same time.
_TRIES = 3


def claim_of(airflow: Airflow, run: Pipeline, try_number: int) -> claiming.Claim:
    """Return what a try of a gate wants."""
    return claiming.Claim(
        account=ACCOUNT,
        holder=holder_of(run.name, "run", "gate", None),
        try_id=try_of(f"{run.name}-{try_number:04}"),
        credits=Decimal(run.credits),
        priority=0,
        reserve=Decimal(airflow.schedule.reserve),
        settlement_ms=airflow.schedule.settlement_ms,
    )


def gate(airflow: Airflow, run: Pipeline, try_number: int) -> Generator[Any, Any, None]:
    """Claim the credits until the gate may open, then report success to Airflow."""
    claim = claim_of(airflow, run, try_number)
    contended = 0
    while True:
        version = airflow.timeline.version
        try:
            result = yield from claiming.claim_credits(claim)
        except VideoDBError:
            # Some gates go on after an error, others leave it to a retry.
            if not airflow.schedule.goes_on:
                raise
            yield Pause(60.0)
            continue
        if result.is_held:
            yield Act(lambda: airflow.open_gate(run, try_number))
            return
        contended = contended + 1 if result.was_contended else 0
        if 0 < contended < _TRIES:
            yield Pause(airflow.random.random() * 2.0)
        else:
            yield AwaitChange(version)


def may_release(is_current: bool) -> bool:
    """Tell whether a release may act on what it has listed."""
    return is_current


def release(airflow: Airflow, run: Pipeline, is_current: Callable[[], bool]) -> Generator[Any, Any, None]:
    """Release what the gate holds, as the teardown does, and end the run."""
    view = yield steps.ListFlags()
    # A release that was frozen before it listed may see the hold of a later round.
    if not may_release((yield Act(is_current))):
        raise VideoDBTryOverError("A newer try releases.")
    yield from releasing.release_gate(
        view,
        holder_of(run.name, "run", "gate", None),
        settlement_ms=lambda _: airflow.schedule.settlement_ms,
        why="the release",
        spent=Decimal(run.spent) if airflow.schedule.gives_spent else None,
    )
    yield Act(lambda: airflow.end_release(run, is_current))
