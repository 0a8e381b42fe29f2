"""What survives the death of a task, and where it is kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb import journal
from airflow_provider_videodb.claims import VariableClaims
from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError, VideoDBRecordUnreadableError
from airflow_provider_videodb.journal import Journal, TaskStateStore, VariableStore, open_store, task_identity
from airflow_provider_videodb.record import Purchase
from tests.support.variables import Variables

PURCHASE = Purchase(
    generation=1,
    amount=50,
    currency=None,
    key="key",
    balance_before=3.5,
    posts=("2026-01-01T00:00:00+00:00",),
    not_ours=("cs_1",),
    orphans=("cs_2", "cs_3"),
    checkout_id="cs_4",
    id_source="url",
    payment_url="https://pay.example/cs_4",
    handed_out=True,
    paid=("cs_4",),
)
PENDING = replace(PURCHASE, paid=())
CONTEXT: Any = {"ti": SimpleNamespace(dag_id="dag", run_id="run", task_id="task", map_index=3)}


class Accessor:
    """Airflow's task state store, as a task is given it."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.retention: Any = None

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.kept[key], self.retention = value, retention

    def delete(self, key: str) -> None:
        del self.kept[key]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    kept = Variables()
    kept.install(monkeypatch)
    return kept


def test_what_is_saved_is_loaded() -> None:
    store = TaskStateStore(Accessor())
    Journal(store).save(PURCHASE)

    assert Journal(store).load() == PURCHASE


def test_nothing_saved_is_nothing_loaded() -> None:
    assert Journal(TaskStateStore(Accessor())).load() is None


def test_what_is_kept_does_not_expire_before_its_run() -> None:
    from airflow.sdk import NEVER_EXPIRE

    accessor = Accessor()
    Journal(TaskStateStore(accessor)).save(PURCHASE)
    assert accessor.retention is NEVER_EXPIRE


@pytest.mark.parametrize(
    "record",
    [
        "x",
        5,
        [],
        {},
        {"generation": 0},
        PURCHASE.to_dict() | {"of_a_later_version": 1},
        {name: value for name, value in PURCHASE.to_dict().items() if name != "posts"},
        PURCHASE.to_dict() | {"posts": None},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_read_is_not_taken_for_none(record: Any) -> None:
    accessor = Accessor()
    accessor.kept["videodb_purchase"] = record

    with pytest.raises(VideoDBPurchaseUnknownError, match="cannot be read"):
        Journal(TaskStateStore(accessor)).load()


def test_in_a_variable_it_stays_until_it_is_paid(variables: Variables) -> None:
    kept = Journal(VariableStore(task_identity(CONTEXT)))
    assert kept.load() is None

    kept.save(PENDING)
    assert list(variables.kept) == ["videodb_purchase__dag__run__task__3"]
    assert kept.load() == PENDING

    # Nobody would ever delete it; its claim is the receipt.
    kept.save(PURCHASE)
    assert variables.kept == {}
    assert kept.load() is None


def test_in_a_variable_it_stays_while_a_link_is_out_besides_what_was_paid(variables: Variables) -> None:
    orphan_paid = replace(PURCHASE, handed_out=True, paid=("cs_2",))
    kept = Journal(VariableStore(task_identity(CONTEXT)))
    kept.save(orphan_paid)

    assert kept.load() == orphan_paid


def test_what_airflow_cannot_read_is_not_taken_for_nothing(variables: Variables) -> None:
    kept = Journal(VariableStore(task_identity(CONTEXT)))
    kept.save(PENDING)
    variables.failing = ErrorType.API_SERVER_ERROR

    for read in (kept.load, lambda: kept.answer(PENDING), lambda: VariableClaims().claim("cs_9", "another/task")):
        with pytest.raises(VideoDBRecordUnreadableError, match=r"could not read.*API_SERVER_ERROR.*Retry the task"):
            read()
    assert len(variables.kept) == 1


def test_in_airflows_own_store_it_stays_as_long_as_its_run() -> None:
    accessor = Accessor()
    kept = Journal(TaskStateStore(accessor))
    kept.save(PENDING)
    kept.save(PURCHASE)

    assert accessor.kept == {"videodb_purchase": PURCHASE.to_dict()}


@pytest.mark.parametrize(
    ("written", "read"),
    [(None, None), ("buy", "buy"), (" cs_1\n", "cs_1")],
    ids=["none", "buy", "id"],
)
def test_an_answer_is_a_variable_that_a_person_sets(variables: Variables, written: Any, read: str | None) -> None:
    if written is not None:
        variables.kept["videodb_answer_key"] = written

    assert Journal(None).answer(PURCHASE) == read


def test_an_answer_that_was_acted_upon_is_removed(variables: Variables) -> None:
    variables.kept = {"videodb_answer_key": "buy", "videodb_answer_other": "buy"}
    Journal(None).forget_answer(PURCHASE)

    assert list(variables.kept) == ["videodb_answer_other"]


def test_without_a_store_nothing_is_kept_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    kept = Journal(None)
    kept.save(PURCHASE)

    assert kept.load() is None
    assert "durable=False" in caplog.text


class TestTheStore:
    def test_is_airflows_own_where_there_is_one(self) -> None:
        assert isinstance(open_store(CONTEXT | {"task_state_store": Accessor()}), TaskStateStore)

    def test_is_a_variable_below_airflow_3_3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journal, "STATE_STORE_OUTLIVES_CLEAR", False)

        assert isinstance(open_store(CONTEXT | {"task_state_store": Accessor()}), VariableStore)

    @pytest.mark.parametrize("kind", ["airflow's own", "variables"])
    def test_keeps_a_value_until_it_is_deleted(self, variables: Variables, kind: str) -> None:
        store = TaskStateStore(Accessor()) if kind == "airflow's own" else VariableStore(task_identity(CONTEXT))
        assert store.get("name") is None

        store.set("name", {"a": [1]})
        assert store.get("name") == {"a": [1]}

        store.delete("name")
        assert store.get("name") is None

    def test_is_named_after_what_outlives_a_retry(self) -> None:
        assert task_identity(CONTEXT) == ("dag", "run", "task", "3")
        assert VariableStore(task_identity(CONTEXT))._key("videodb_purchase") == "videodb_purchase__dag__run__task__3"

    def test_has_a_name_that_airflow_can_keep_and_nobody_shares(self) -> None:
        keys = {VariableStore(("d" * 250, "r" * 250, "t" * 250, str(index)))._key("name") for index in range(20)}

        assert len(keys) == 20
        assert max(len(key) for key in keys) <= 250
