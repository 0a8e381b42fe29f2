"""
A try that has ended buys nothing more and shows no link.

Airflow lets a marked or cleared task run on for seconds, and a frozen worker can wake up while the next try runs. Here
the state of the task changes at one step of `dag.test()`, and its code goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBTryOverError
from tests.support.purchases import RECORD_STORES, TASK, TOPUP, Point, PurchaseRuns

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.purchases import Bought, Person

BEFORE_THE_POST = {
    "at the first poll": Point("api.client.BillingClient", "list_checkouts"),
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
        session.query(TaskInstance).filter_by(dag_id="purchasing", task_id=TASK, state="running").update(
            {"state": state}
        )


def _replace_by_newer_try() -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        ti = session.query(TaskInstance).filter_by(dag_id="purchasing", task_id=TASK, state="running").one()
        # The scheduler does this to a task without a heartbeat, and a clear does it to a running task.
        ti.prepare_db_for_next_try(session)


CHANGES: dict[str, Callable[[], None]] = {
    "marked failed": lambda: _set_state("failed"),
    "marked success": lambda: _set_state("success"),
    "cleared": lambda: _set_state("restarting"),
    "replaced by a newer try": _replace_by_newer_try,
}


def errors_of(point: Point, change: Callable[[], object], person: Person, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run a task, change its state at a step, and return its errors."""
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
        PurchaseRuns(amount=50).run()
    except Exception:  # noqa: BLE001 - Airflow fails as well, because it has replaced the task instance
        assert errors
    assert met
    return errors


# The store of Airflow 3.3 refuses the writes of a replaced try. Variables do not, so our code has to.
in_each_store = pytest.mark.parametrize("record", RECORD_STORES, indirect=True)


@in_each_store
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", BEFORE_THE_POST)
def test_ended_try_posts_nothing(
    step: str, change: str, record: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    [error] = errors_of(BEFORE_THE_POST[step], CHANGES[change], person, monkeypatch)

    assert person.emulator.calls("POST", TOPUP) == []
    assert person.links == []
    assert isinstance(error, VideoDBTryOverError | VideoDBRecordNotKeptError)


@in_each_store
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", AFTER_THE_POST)
def test_ended_try_shows_no_link(
    step: str, change: str, record: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors_of(AFTER_THE_POST[step], CHANGES[change], person, monkeypatch)

    assert len(person.emulator.calls("POST", TOPUP)) == 1
    assert person.links == []


@pytest.mark.parametrize("step", STEPS)
def test_killed_task_goes_no_further(step: str, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_videodb.operators._purchasing import PurchasingOperator

    running: list[PurchasingOperator] = []
    push_link = PurchasingOperator.push_link

    def noted(self: PurchasingOperator, context: Any, url: str | None) -> None:
        running.append(self)
        push_link(self, context, url)

    monkeypatch.setattr(PurchasingOperator, "push_link", noted)

    def stop() -> None:
        running[-1].on_kill()

    errors_of(STEPS[step], stop, person, monkeypatch)

    assert len(person.emulator.calls("POST", TOPUP)) == (step in AFTER_THE_POST)
    assert person.links == []


@in_each_store
def test_cleared_task_goes_on_with_its_checkout(record: str, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    purchasing = PurchaseRuns(amount=50)
    AFTER_THE_POST["before the claim"].does(CHANGES["marked failed"], monkeypatch)
    failed: Bought = purchasing.run()
    assert person.links == []

    bought = purchasing.clear(failed)
    assert (bought.state, len(person.links)) == ("success", 1)
    assert len(person.emulator.checkouts()) == 1
