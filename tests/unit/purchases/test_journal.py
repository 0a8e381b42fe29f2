"""The record of one purchase: read once, written after a read, kept as a receipt."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb.exceptions import (
    VideoDBPurchaseUnknownError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.purchases.claims import VariableClaims
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.stores import VariableStore
from tests.support.airflow_faults import REFUSALS
from tests.support.records import PENDING, PURCHASE
from tests.support.tries import StandInTry
from tests.support.variables import Store, Variables

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

RESOLUTION = "videodb_resolution_0123456789abcdef"


@pytest.fixture
def store() -> Store:
    return Store()


def begun(store: Any, this_try: StandInTry | None = None) -> Journal:
    """Return the journal of a try that has read the record."""
    journal = Journal(store, this_try or StandInTry())
    journal.load()
    return journal


def kept_in(store: Store) -> Any:
    return store.get("videodb_purchase")


@pytest.mark.parametrize("kind", ["airflow's own", "variables"])
def test_saved_record_is_loaded_by_the_next_try(variables: Variables, store: Store, kind: str) -> None:
    place: Any = store if kind == "airflow's own" else VariableStore(("dag", "run", "task", "-1"))
    assert Journal(place, StandInTry()).load() is None

    begun(place).save(PENDING)
    assert Journal(place, StandInTry("try-2")).load() == PENDING


def test_record_names_its_format_and_its_try(store: Store) -> None:
    begun(store, StandInTry("01a2134f")).save(PENDING)

    assert kept_in(store) == {"format": 1, "try": "01a2134f", "purchase": PENDING.to_dict()}


def test_receipt_of_a_paid_purchase_stays(store: Store) -> None:
    begun(store).save(replace(PURCHASE, excluded_ids=tuple(f"cs_{number}" for number in range(5000))))

    receipt = Journal(store, StandInTry("try-2")).load()
    assert receipt == PURCHASE.receipt()
    assert receipt is not None
    assert (receipt.posts, receipt.excluded_ids, receipt.in_flight) == ((), (), 0)
    assert receipt.paid == ("cs_4",)
    assert len(json.dumps(kept_in(store))) < 1000


@pytest.mark.parametrize(
    "record",
    [
        "x",
        5,
        0,
        "",
        False,
        [],
        {},
        PENDING.to_dict(),
        {"format": 1, "purchase": PENDING.to_dict()},
        {"format": 1, "try": None, "purchase": PENDING.to_dict()},
        {"format": 1, "try": 7, "purchase": PENDING.to_dict()},
        {"format": "1", "try": "try-1", "purchase": PENDING.to_dict()},
        {"format": 1, "try": "try-1"},
        {"format": 1, "try": "try-1", "purchase": None},
        {"format": 1, "try": "try-1", "purchase": {}},
        {"format": 1, "try": "try-1", "purchase": PENDING.to_dict() | {"posts": None}},
    ],
    ids=lambda record: repr(record)[:60],
)
def test_unreadable_record_is_not_taken_for_none(store: Store, record: Any) -> None:
    store.set("videodb_purchase", record)

    with pytest.raises(
        VideoDBPurchaseUnknownError, match=r"So it is unknown what was bought\. Nothing more was bought"
    ):
        Journal(store, StandInTry()).load()
    assert kept_in(store) == record


def test_record_of_somebody_else_says_what_to_do(store: Store) -> None:
    store.set("videodb_purchase", {"format": 1})

    with pytest.raises(VideoDBPurchaseUnknownError) as caught:
        Journal(store, StandInTry()).load()
    assert str(caught.value) == (
        "The record of this purchase cannot be read, because this package did not write it. So it is unknown what was "
        "bought. Nothing more was bought. Next step: look at the checkouts in VideoDB's console, then start a new DAG "
        "run to buy again."
    )


@pytest.mark.parametrize("wrapper", [{}, {"format": 0}, {"format": 1}, {"format": 2, "of_a_later_version": {"a": 1}}])
def test_record_of_another_format_is_read_and_kept_whole(store: Store, wrapper: dict[str, Any]) -> None:
    store.set("videodb_purchase", wrapper | {"try": "try-1", "purchase": PENDING.to_dict()})
    journal = begun(store, StandInTry("try-2"))

    assert journal.load() == PENDING
    journal.save(PURCHASE)
    written = {"format": 1, "try": "try-2", "purchase": PURCHASE.receipt().to_dict()}
    assert kept_in(store) == wrapper | written


def test_record_is_read_once_by_one_try(store: Store) -> None:
    journal = begun(store)
    journal.save(PENDING)
    store.delete("videodb_purchase")

    assert journal.load() == PENDING


class TestSave:
    def test_record_is_read_back_before_each_write(self, store: Store) -> None:
        journal = begun(store)
        journal.save(PENDING)
        journal.check_unchanged()
        journal.save(replace(PENDING, amount=60))
        journal.save(PURCHASE)

        assert kept_in(store)["purchase"] == PURCHASE.receipt().to_dict()

    @pytest.mark.parametrize("purchase", [PENDING, PURCHASE])
    def test_same_record_is_not_written_again(self, store: Store, purchase: Purchase) -> None:
        begun(store).save(purchase)
        journal = begun(store)
        store.fault = AssertionError("nothing is written")
        journal.save(purchase)

        store.delete("videodb_purchase")
        with pytest.raises(VideoDBRecordUnreadableError):
            journal.save(purchase)

    def test_failed_write_may_have_succeeded(self, store: Store) -> None:
        """A 500 does not prove that nothing was written: what is there decides."""
        journal = begun(store)
        store.fault = VideoDBRecordNotKeptError("Airflow could not write it.")
        with pytest.raises(VideoDBRecordNotKeptError):
            journal.save(PENDING)

        store.fault = None
        journal.check_unchanged()
        store.set("videodb_purchase", {"format": 1, "try": "try-1", "purchase": PENDING.to_dict()})
        with pytest.raises(VideoDBRecordUnreadableError):
            journal.check_unchanged()

    def test_lost_write_is_noticed(self, variables: Variables) -> None:
        journal = begun(VariableStore(("dag", "run", "task", "-1")))
        variables.loses_writes = True

        def saves_and_looks() -> None:
            journal.save(PENDING)
            journal.check_unchanged()

        with pytest.raises(VideoDBRecordUnreadableError):
            saves_and_looks()

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_refused_write_is_an_error(self, variables: Variables, fault: Any) -> None:
        journal = begun(VariableStore(("dag", "run", "task", "-1")))
        variables.writing = fault

        with pytest.raises(VideoDBRecordNotKeptError):
            journal.save(PENDING)
        assert variables.kept == {}


def test_failure_of_airflow_is_not_taken_for_nothing(variables: Variables) -> None:
    journal = begun(VariableStore(("dag", "run", "task", "-1")))
    journal.save(PENDING)
    variables.failing = ErrorType.API_SERVER_ERROR

    for read in (
        Journal(VariableStore(("dag", "run", "task", "-1")), StandInTry()).load,
        journal.check_unchanged,
        lambda: journal.save(PURCHASE),
        lambda: journal.resolution(PENDING),
        lambda: VariableClaims().claim("cs_9", "another/task"),
    ):
        with pytest.raises(VideoDBRecordUnreadableError, match=r"could not read.*API_SERVER_ERROR.*retry the task"):
            read()
    assert len(variables.kept) == 1


@pytest.mark.parametrize(
    ("written", "read"),
    [(None, None), ("buy", "buy"), (" cs_1\n", "cs_1"), ("", "")],
    ids=["none", "buy", "id", "empty"],
)
def test_resolution_is_a_variable_that_a_person_sets(
    variables: Variables, store: Store, written: Any, read: str | None
) -> None:
    if written is not None:
        variables.kept[RESOLUTION] = written

    assert begun(store).resolution(PURCHASE) == read


def test_applied_resolution_is_deleted(variables: Variables, store: Store) -> None:
    variables.kept = {RESOLUTION: "buy", "videodb_resolution_other": "buy"}
    begun(store).delete_resolution(PURCHASE)

    assert list(variables.kept) == ["videodb_resolution_other"]


class StandsStill:
    """The clock of a worker that freezes after each of its first polls at the record."""

    def __init__(self, times: int) -> None:
        self._pauses = [0.0, 6.0] * times
        self._seconds = 0.0

    def monotonic(self) -> float:
        self._seconds += self._pauses.pop(0) if self._pauses else 0.0
        return self._seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(("times", "is_kept"), [(1, True), (2, True), (3, False)])
def test_record_is_not_written_on_an_old_read(times: int, is_kept: bool) -> None:
    store = Store()
    journal = Journal(store, StandInTry(), clock=StandsStill(times))  # type: ignore[arg-type]
    assert journal.load() is None
    if is_kept:
        journal.save(PENDING)
    else:
        with pytest.raises(VideoDBRecordNotKeptError, match="longer than 5 s"):
            journal.save(PENDING)

    assert (Journal(store, StandInTry()).load() == PENDING) is is_kept
