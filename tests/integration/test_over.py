"""
A try that is over buys nothing more, shows no link and overwrites nothing.

Airflow lets a task that was marked or cleared run on for seconds, and a worker that was frozen wakes up beside the try
that took its place. Here the world changes at one step of a real `dag.test()`, and the task goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBTryOverError
from tests.support.purchases import TASK, TOPUP, Point, Shopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.purchases import Bought, Person

BEFORE_THE_POST = {
    "at the first look": Point("api.client.BillingClient", "list_checkouts"),
    "before the intent": Point("purchases.journal.Journal", "save"),
    "after the intent": Point("purchases.journal.Journal", "save", after=True),
}
AFTER_THE_POST = {
    "during the POST": Point("api.client.BillingClient", "topup", after=True),
    "before the claim": Point("purchases.claims.VariableClaims", "claim"),
    "after the claim": Point("purchases.claims.VariableClaims", "claim", after=True),
}
STEPS = BEFORE_THE_POST | AFTER_THE_POST


def _set_state(state: str) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(TaskInstance).filter_by(dag_id="shopping", task_id=TASK, state="running").update({"state": state})


def _replace_by_newer_try() -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        ti = session.query(TaskInstance).filter_by(dag_id="shopping", task_id=TASK, state="running").one()
        # What the scheduler does to a task whose heartbeat it misses, and a clear to one that runs.
        ti.prepare_db_for_next_try(session)


CHANGES: dict[str, Callable[[], None]] = {
    "marked failed": lambda: _set_state("failed"),
    "marked success": lambda: _set_state("success"),
    "cleared": lambda: _set_state("restarting"),
    "replaced by a newer try": _replace_by_newer_try,
}


def told(point: Point, change: Callable[[], object], person: Person, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run a task under which the world changes at a step; return the errors it ended with."""
    from airflow.sdk.execution_time import task_runner

    met = point.does(change, monkeypatch)
    errors: list[Any] = []
    run = task_runner.run

    def watched(*args: Any, **kwargs: Any) -> Any:
        result = run(*args, **kwargs)
        errors.append(result[2])
        return result

    monkeypatch.setattr(task_runner, "run", watched)
    try:
        Shopping(amount=50).run()
    except Exception:  # noqa: BLE001 - Airflow itself stumbles over a task instance that it has replaced
        assert errors
    assert met
    return errors


@pytest.mark.parametrize("server", [{}, {"charge_stored_card": True}], ids=["link", "card"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", BEFORE_THE_POST)
def test_try_that_is_over_posts_nothing(
    step: str, change: str, server: dict[str, Any], person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.emulator.change_settings(**server)
    [error] = told(BEFORE_THE_POST[step], CHANGES[change], person, monkeypatch)

    assert person.emulator.calls("POST", TOPUP) == []
    assert person.links == []
    # Airflow's task state store refuses the writes of a try that was replaced, which is told as such.
    assert isinstance(error, VideoDBTryOverError | VideoDBRecordNotKeptError)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", AFTER_THE_POST)
def test_try_that_is_over_shows_no_link(
    step: str, change: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(AFTER_THE_POST[step], CHANGES[change], person, monkeypatch)

    assert len(person.emulator.calls("POST", TOPUP)) == 1
    assert person.links == []


@pytest.mark.parametrize("step", STEPS)
def test_task_that_was_told_to_stop_goes_no_further(step: str, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_videodb.operators._purchasing import PurchasingOperator

    running: list[PurchasingOperator] = []
    push_link = PurchasingOperator.push_link

    def noted(self: PurchasingOperator, context: Any, url: str | None) -> None:
        running.append(self)
        push_link(self, context, url)

    monkeypatch.setattr(PurchasingOperator, "push_link", noted)

    def stop() -> None:
        running[-1].on_kill()

    told(STEPS[step], stop, person, monkeypatch)

    assert len(person.emulator.calls("POST", TOPUP)) == (step in AFTER_THE_POST)
    assert person.links == []


def test_retry_of_stopped_task_goes_on_with_its_checkout(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made for a task that was then marked failed is found again when somebody clears it."""
    shopping = Shopping(amount=50)
    AFTER_THE_POST["before the claim"].does(CHANGES["marked failed"], monkeypatch)
    bought: Bought = shopping.run()
    assert person.links == []

    bought = shopping.clear(bought)
    assert (bought.state, len(person.links)) == ("success", 1)
    assert len(person.emulator.checkouts()) == 1
