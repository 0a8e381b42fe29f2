"""An Airflow that cannot read or write: nothing is bought on a guess."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import ErrorType

from airflow_provider_videodb.exceptions import (
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.purchases.stores import VariableStore
from tests.support.airflow_faults import FAULTS, REFUSALS
from tests.support.checkouts import expired, listed, responded
from tests.support.compat import needs_listed_variables
from tests.support.worlds import IDENTITY, OWNER, World


class TestAirflowFailures:
    """Variables, which Airflow below 3.3 has for a record, and which all have for claims."""

    @pytest.fixture(
        autouse=True,
        params=[pytest.param(True, marks=needs_listed_variables), False],
        ids=["3.3", "below 3.3"],
    )
    def version(self, request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("airflow_provider_videodb.purchases.variables.VARIABLES_CAN_BE_LISTED", request.param)
        world.place, world.responses = VariableStore(IDENTITY), [responded()]

    def test_working_airflow_keeps_the_purchase(self, world: World) -> None:
        assert world.buys().checkout_id == "cs_1"
        assert world.executor.load_existing() == world.buys()
        assert len(world.posts) == 1

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_refused_intent_sends_no_post(self, world: World, fault: Any) -> None:
        world.at_poll[1] = lambda: setattr(world.variables, "writing", fault)
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()

        assert world.posts == []

    def test_lost_intent_sends_no_post(self, world: World) -> None:
        world.at_poll[1] = lambda: setattr(world.variables, "loses_writes", True)
        with pytest.raises(VideoDBRecordUnreadableError):
            world.buys()

        assert world.posts == []

    @pytest.mark.parametrize("said", [ErrorType.VARIABLE_NOT_FOUND, *ErrorType, *FAULTS], ids=repr)
    @pytest.mark.parametrize("poll", [0, 1])
    def test_unreadable_record_sends_no_post(self, world: World, said: Any, poll: int) -> None:
        """It says of a record that it cannot read what it says of one that is not there."""
        world.buys()
        world.posts.clear()
        world.entries = [expired()]
        if poll:
            world.at_poll[world.done.count("poll") + poll] = lambda: setattr(world.variables, "failing", said)
        else:
            world.variables.failing = said
        with pytest.raises(VideoDBRecordUnreadableError):
            world.buys()

        assert world.posts == []

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_refused_response_shares_no_link(self, world: World, fault: Any) -> None:
        world.meanwhile = lambda: setattr(world.variables, "writing", fault)
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()

        # The next try finds that it has asked, and what came of it.
        world.variables.writing, world.entries = None, [listed(status="completed")]
        world.this_try.id = "try-2"
        assert world.buys().paid == ("cs_1",)
        assert len(world.posts) == 1

    @pytest.mark.parametrize("fault", REFUSALS, ids=repr)
    def test_refused_claim_shares_no_link(self, world: World, fault: Any) -> None:
        world.place = None
        world.meanwhile = lambda: setattr(world.variables, "writing", fault)
        with pytest.raises(VideoDBRecordNotKeptError):
            world.buys()
        assert world.record is not None
        assert (world.record.checkout_id, world.record.link_shared) == ("cs_1", False)

        world.variables.writing = None
        assert world.buys().link_shared
        assert world.claims == {"cs_1": OWNER}
        assert len(world.posts) == 1

    def test_receipt_outlives_the_list(self, world: World) -> None:
        """The receipt stays with us: neither a clear nor another try follows VideoDB's list."""
        world.meanwhile = lambda: world.entries.append(listed(status="completed"))
        paid = world.buys()
        for number, entries in enumerate(([], [listed()], [expired()], [listed(status="refunded")]), start=2):
            world.entries, world.this_try.id = entries, f"try-{number}"
            assert world.buys() == paid.receipt()

        assert len(world.posts) == 1
