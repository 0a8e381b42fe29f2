"""Flags as Variables of a real Airflow, over its real Execution API, and of one that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import OKResponse

from airflow_provider_videodb.exceptions import VideoDBRecordNotKeptError, VideoDBRecordUnreadableError
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import MAX_KEY, Kind, account_part, account_prefix
from airflow_provider_videodb.holds.rules.steps import Put, Remove
from airflow_provider_videodb.holds.store import Listing, VariableStore
from tests.support.airflow_faults import REFUSALS
from tests.support.compat import needs_listed_variables
from tests.support.dag_runs import new_dag, run
from tests.support.holds import Task, flag
from tests.support.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = needs_listed_variables

KEY = flag(Kind.HELD, Task(), 75).key


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()
    kept.install(monkeypatch)
    return kept


def in_a_task(dag_id: str, work: Callable[[], None]) -> None:
    """Do something in a task of a real Airflow."""
    from airflow.sdk import task

    with new_dag(dag_id) as dag:
        task(task_id="work")(work)()
    assert run(dag).state == "success"


def test_text_is_kept_until_it_is_deleted(variables: Variables) -> None:
    store = VariableStore()
    assert store.read(KEY) is None

    store.write(KEY, "who")

    assert store.read(KEY) == "who"
    assert store.list(account_prefix("shared")) == Listing((KEY,), is_complete=True)
    assert store.list(account_prefix("other")) == Listing((), is_complete=True)
    store.delete(KEY)
    store.delete(KEY)
    assert store.list("") == Listing((), is_complete=True)


@pytest.mark.parametrize("fault", [*REFUSALS, OKResponse(ok=False)], ids=repr)
def test_listing_that_fails_is_an_error(variables: Variables, fault: Any) -> None:
    variables.listing = fault

    with pytest.raises(VideoDBRecordUnreadableError):
        VariableStore().list("videodb/")


@pytest.mark.parametrize("fault", [*REFUSALS, OKResponse(ok=False)], ids=repr)
@pytest.mark.parametrize("change", [lambda store: store.write(KEY, ""), lambda store: store.delete(KEY)])
def test_change_that_is_not_confirmed_is_an_error(variables: Variables, fault: Any, change: Any) -> None:
    variables.writing = fault

    with pytest.raises(VideoDBRecordNotKeptError):
        change(VariableStore())


def test_real_airflow_keeps_every_key_as_it_is(airflow_db: None) -> None:
    """The account's name and the figures become a part of a URL."""
    accounts = ["shared", "Shared", "a.b", "a_b", "aXb", "team/\u03b1", "..", ".", "%2e%2e", "a b?c#d", "x" * 60, "-"]
    seen: dict[str, list[Any]] = {}

    def work() -> None:
        for number, name in enumerate(accounts):
            ledger = Ledger(account_part(name))
            one = flag(Kind.WAITING, Task(map_index=number), f"{number}.5", priority=-number)
            mine = type(one)(
                **{field: getattr(one, field) for field in one.__slots__} | {"account": account_part(name)}
            )
            ledger.do(Put(mine))
            seen[name] = [mine, ledger.view().flags, ledger.store.read(mine.key)]
        for name, (mine, *_) in seen.items():
            ledger = Ledger(account_part(name))
            seen[name].append(ledger.view().flags)
            ledger.do(Remove(mine))
            seen[name].append(ledger.view().flags)

    in_a_task("keeps_keys", work)

    assert {name: [(mine,), "{}", (mine,), ()] for name, (mine, *_) in seen.items()} == {
        name: [first, text, last, left] for name, (_, first, text, last, left) in seen.items()
    }
    assert set(seen) == set(accounts)


def test_real_airflow_keeps_the_longest_key(airflow_db: None) -> None:
    longest = KEY + "x" * (MAX_KEY - len(KEY))
    seen: list[Any] = []

    def work() -> None:
        store = VariableStore()
        store.write(longest, "who")
        seen.append(store.list(KEY).keys)
        store.delete(longest)
        seen.append(store.read(longest))

    in_a_task("keeps_longest_key", work)

    assert seen == [(longest,), None]
