"""A pair restores the settings whatever dies, is cleared or cannot be stored."""

from __future__ import annotations

import pkgutil
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import get_current_context

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.exceptions import VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.rules.recharge import PREFIX
from airflow_provider_videodb.purchases.variables import delete_variable
from tests.support.compat import needs_cleared_runs, needs_listed_variables
from tests.support.purchases import Died, Point
from tests.support.recharge import NOTES, Pair, clear, flags, mark_failed, notes, once, stored, variables, writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


FOUND = (False, Decimal(5), Decimal(25))
SET = (True, Decimal(20), Decimal(100))


NOTE, HOLD, CLIENT = "operators._recharge_note", "operators._recharge_hold", "api.client.BillingClient"
STORE = "holds.store.VariableStore"


DEATHS = [
    *(Point(NOTE, name, after=after) for name in ("load_note", "save_note") for after in (False, True)),
    *(
        Point(CLIENT, name, after=after)
        for name in ("get_auto_recharge", "set_auto_recharge")
        for after in (False, True)
    ),
    *(Point(CLIENT, "get_auto_recharge", nth=2, after=after) for after in (False, True)),
]
#: A task that cannot list Variables has no flags, and reads once less.
DEATHS_WITH_FLAGS = [
    *(Point(CLIENT, "get_auto_recharge", nth=3, after=after) for after in (False, True)),
    *(Point(STORE, "write", nth=nth, after=after) for nth in (1, 2, 3) for after in (False, True)),
]


@contextmanager
def dying(point: Point) -> Iterator[None]:
    """Kill the task at this point, once."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        point.breaks(Died("the worker is gone"), monkeypatch)
        yield


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize(
    "point", [*DEATHS, *(pytest.param(one, marks=needs_listed_variables) for one in DEATHS_WITH_FLAGS)], ids=str
)
def test_setup_may_die_at_any_point(account, point, retries):
    during = []
    with dying(point):
        pair = Pair(job=lambda: during.append(stored(account)), on={"retries": retries})

    assert pair.states() == (("success",) * 3 if retries else ("failed", "success", "failed"))
    assert during == ([SET] if retries else [])
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


@pytest.mark.parametrize(
    "point",
    [
        *(Point(NOTE, "load_note", after=after) for after in (False, True)),
        *(
            Point(CLIENT, name, after=after)
            for name in ("get_auto_recharge", "set_auto_recharge")
            for after in (False, True)
        ),
        *(Point(STORE, "write", nth=nth, after=after) for nth in (1, 2) for after in (False, True)),
        *(Point(STORE, "delete", nth=nth) for nth in (1, 2, 3, 4, 5)),
        Point(STORE, "delete", nth=5, after=True),
        Point(HOLD, "delete_variable"),
        Point(HOLD, "delete_variable", after=True),
    ],
    ids=str,
)
def test_teardown_may_die_at_any_point(account, point):
    with pytest.MonkeyPatch.context() as monkeypatch:
        pair = Pair(job=once(lambda: point.breaks(Died("gone"), monkeypatch)), back={"retries": 1})

    assert pair.states() == ("success", "success", "success")
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def during(owner: str, method: str, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Act right before the first call of a method."""
    target = pkgutil.resolve_name(f"airflow_provider_videodb.{owner}")
    original, first = getattr(target, method), once(act)

    def called(*args: Any, **kwargs: Any) -> Any:
        first()
        return original(*args, **kwargs)

    monkeypatch.setattr(target, method, called)


def test_setup_marked_failed_before_its_write_writes_nothing(account, monkeypatch):
    during(NOTE, "save_note", lambda: mark_failed("on"), monkeypatch)
    pair = Pair()

    assert type(pair.errors["on"][0]).__name__ == "VideoDBTryOverError"
    assert writes(account) == 0
    assert stored(account) == FOUND


@needs_cleared_runs
@pytest.mark.parametrize("task_id", ["on", "back"])
def test_try_replaced_by_a_clear_writes_nothing(account, monkeypatch, task_id):
    cleared = once(lambda: clear(task_id))
    original = BillingClient.get_auto_recharge

    def read(self: BillingClient) -> Any:
        if get_current_context()["ti"].task_id == task_id:
            cleared()
        return original(self)

    monkeypatch.setattr(BillingClient, "get_auto_recharge", read)
    # To dag.test(), a task that was cleared while it ran has failed. So a retry is its next try.
    pair = Pair(on={"retries": 1}, back={"retries": 1})

    assert type(pair.errors[task_id][0]).__name__ == "VideoDBTryOverError"
    assert pair.states() == ("success", "success", "success")
    # The replaced try wrote nothing, so each of the two tasks wrote once.
    assert writes(account) == 2
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def test_setup_restored_before_its_write_undoes_that_write(account, monkeypatch):
    """A task that is marked failed runs on for seconds, so its teardown may run before its POST."""

    def teardown_runs() -> None:
        for key in (*variables(NOTES), *variables(PREFIX)):
            delete_variable(key)

    during(CLIENT, "set_auto_recharge", teardown_runs, monkeypatch)
    pair = Pair()

    assert pair.states() == ("failed", "success", "failed")
    assert type(pair.errors["on"][0]).__name__ == "VideoDBTryOverError"
    assert "were undone" in str(pair.errors["on"][0])
    assert stored(account) == FOUND
    assert (flags(), notes()) == ([], {})


def test_unwritable_note_prevents_the_change(account, monkeypatch):
    def refuses(*_: object) -> None:
        raise VideoDBRecordUnreadableError("the database refuses writes")

    monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.write_variable", refuses)
    pair = Pair(on={"retries": 1})

    assert pair.states() == ("failed", "success", "failed")
    assert writes(account) == 0


def test_unreadable_note_is_not_taken_for_a_missing_one(account, monkeypatch):
    def refuses(*_: object) -> None:
        raise VideoDBRecordUnreadableError("the database refuses reads")

    pair = Pair(
        job=lambda: monkeypatch.setattr("airflow_provider_videodb.operators._recharge_note.read_variable", refuses)
    )

    assert pair.states() == ("success", "failed", "failed")
    assert str(pair.errors["back"][0]).startswith("Automatic recharge may still be as task on set it.")
