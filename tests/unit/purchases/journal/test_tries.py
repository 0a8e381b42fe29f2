"""The record of a purchase when two tries write it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_videodb.exceptions import (
    VideoDBRecordUnreadableError,
    VideoDBTryOverError,
)
from airflow_provider_videodb.purchases.journal import Journal
from tests.support.records import PENDING, PURCHASE
from tests.support.tries import StandInTry
from tests.support.variables import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_videodb.purchases.rules.purchase import Purchase


OVER = VideoDBTryOverError("This try is over.")


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


class TestAnotherTry:
    def test_newer_try_takes_the_record_over(self, store: Store) -> None:
        begun(store).save(PENDING)
        newer = StandInTry("try-2")

        assert Journal(store, newer).load() == PENDING
        assert kept_in(store)["try"] == "try-2"
        assert newer.checks == 1

    def test_stopped_try_does_not_take_the_record_over(self, store: Store) -> None:
        begun(store, StandInTry("try-2")).save(PENDING)
        thawed = StandInTry("try-1", error=OVER)

        with pytest.raises(VideoDBTryOverError, match="This try is over"):
            Journal(store, thawed).load()
        assert kept_in(store)["try"] == "try-2"

    def test_same_try_reads_without_writing(self, store: Store) -> None:
        begun(store).save(PENDING)
        store.fault = AssertionError("nothing is written")
        after_a_deferral = StandInTry("try-1")

        assert Journal(store, after_a_deferral).load() == PENDING
        assert after_a_deferral.checks == 0

    @pytest.mark.parametrize("begun_with", [None, PENDING, PURCHASE])
    @pytest.mark.parametrize("theirs", [PENDING, PURCHASE, replace(PENDING, generation=2)])
    @pytest.mark.parametrize(
        "act",
        [lambda journal: journal.save(PENDING), lambda journal: journal.check_unchanged()],
        ids=["save", "check"],
    )
    @pytest.mark.parametrize("is_newer", [True, False])
    def test_write_of_another_try_stops_this_one(
        self,
        store: Store,
        begun_with: Purchase | None,
        theirs: Purchase,
        act: Callable[[Journal], None],
        is_newer: bool,
    ) -> None:
        if begun_with is not None:
            begun(store).save(begun_with)
        this_try = StandInTry("try-1")
        journal = begun(store, this_try)
        other = {"format": 1, "try": "try-2" if is_newer else "try-0", "purchase": theirs.to_dict()}
        store.set("videodb_purchase", other)
        this_try.error = OVER if is_newer else None

        with pytest.raises(VideoDBTryOverError if is_newer else VideoDBRecordUnreadableError) as caught:
            act(journal)
        assert kept_in(store) == other
        if not is_newer:
            assert str(caught.value) == (
                "The record of this purchase changed during this try. An older try that Airflow believed dead, or a "
                "person, may have written it. Nothing more was bought. Next step: retry the task, which continues from "
                "the record as it is now."
            )

    @pytest.mark.parametrize("act", [lambda journal: journal.save(PENDING), lambda journal: journal.check_unchanged()])
    def test_deletion_by_a_person_stops_this_try(self, store: Store, act: Callable[[Journal], None]) -> None:
        begun(store).save(PENDING)
        journal = begun(store)
        store.delete("videodb_purchase")

        with pytest.raises(VideoDBRecordUnreadableError, match="changed during this try"):
            act(journal)
        assert kept_in(store) is None

    def test_next_try_starts_from_what_an_older_one_wrote(self, store: Store) -> None:
        journal = begun(store)
        store.set("videodb_purchase", {"format": 1, "try": "try-0", "purchase": PENDING.to_dict()})
        with pytest.raises(VideoDBRecordUnreadableError):
            journal.save(PURCHASE)

        assert begun(store, StandInTry("try-2")).load() == PENDING
