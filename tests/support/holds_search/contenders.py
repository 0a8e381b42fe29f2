"""What the holds are compared with: gates that know everything, only the balance, or only a number of slots."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.rules.steps import ReadBalance
from tests.support.holds_search.process import Act, AwaitChange

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.support.holds_search.airflow import Airflow, Pipeline

    Gate = Callable[[Airflow, Pipeline, int], Generator[Any, Any, None]]


def oracle(airflow: Airflow, run: Pipeline, try_number: int) -> Generator[Any, Any, None]:
    """Open in the order of arrival, knowing what is really left and what everybody may still spend."""

    def may_open() -> bool:
        account = airflow.account
        return _is_first(airflow, run) and account.left - account.owed >= run.credits

    yield from _open_when(airflow, run, try_number, may_open)


def threshold(airflow: Airflow, run: Pipeline, try_number: int) -> Generator[Any, Any, None]:
    """Open as soon as the balance suffices."""
    version = airflow.timeline.version
    while (yield ReadBalance()) < Decimal(run.credits):
        yield AwaitChange(version)
        version = airflow.timeline.version
    yield Act(lambda: airflow.open_gate(run, try_number))


def pool(slots: int) -> Gate:
    """Return a gate that opens in the order of arrival as soon as a slot is free and the balance suffices."""

    def gate(airflow: Airflow, run: Pipeline, try_number: int) -> Generator[Any, Any, None]:
        def may_open() -> bool:
            taken = sum(one.gate == "success" and one.is_active for one in airflow.runs.values())
            return _is_first(airflow, run) and taken < slots and airflow.account.balance >= run.credits

        yield from _open_when(airflow, run, try_number, may_open)

    return gate


def _open_when(
    airflow: Airflow, run: Pipeline, try_number: int, may_open: Callable[[], bool]
) -> Generator[Any, Any, None]:
    def open_gate() -> bool:
        if may_open():
            airflow.open_gate(run, try_number)
            airflow.timeline.changed()
        return run.gate == "success"

    version = airflow.timeline.version
    while not (yield Act(open_gate)):
        yield AwaitChange(version)
        version = airflow.timeline.version


def _is_first(airflow: Airflow, run: Pipeline) -> bool:
    waiting = [one for one in airflow.runs.values() if one.gate == "running"]
    return min(waiting, key=lambda one: one.arrives) is run
