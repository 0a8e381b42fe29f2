"""
For one task instance at most one purchase is ever paid, and at any time at most one link can be paid.

A search for a counterexample: the real code that buys, in a market (``tests/support/market``) where everything that can
be lost is lost, every clock is wrong, VideoDB's list and Airflow's API server lie, workers stand still and go on when
another try has begun, and others buy the same amount at the same time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.market.draws import AMOUNT, NAMES
from tests.support.market.installed import KEEPS, Place
from tests.support.market.market import Market
from tests.support.market.people_rules import PeopleRules
from tests.support.market.tasks import Kind, Task
from tests.support.market.videodb import Card
from tests.support.market.videodb_rules import VideoDBRules
from tests.support.market.worker_rules import WorkerRules

if TYPE_CHECKING:
    import pytest


class PurchaseMachine(WorkerRules, VideoDBRules, PeopleRules, RuleBasedStateMachine):
    """Tasks that buy, in a market that does its worst."""

    place: ClassVar[Place]
    examples: ClassVar[int] = 0

    @initialize(
        card=st.sampled_from(Card),
        keeps=st.sampled_from(KEEPS),
        kinds=st.sampled_from(
            [(Kind.TOPUP,) * 3, (Kind.TOPUP, Kind.TOPUP, Kind.ENSURE), (Kind.ENSURE, Kind.TOPUP, Kind.TOPUP)]
        ),
        honours_key=st.booleans(),
        names_ids=st.sampled_from([True, True, True, False]),
        monthly_limit=st.sampled_from([None, None, AMOUNT, 2 * AMOUNT]),
    )
    def opens(
        self,
        card: Card,
        keeps: Any,
        kinds: tuple[Kind, ...],
        honours_key: bool,
        names_ids: bool,
        monthly_limit: int | None,
    ) -> None:
        type(self).examples += 1
        self.market = Market(
            card=card,
            keeps=keeps,
            honours_key=honours_key,
            names_ids=names_ids,
            monthly_limit=monthly_limit,
            tasks=[Task(name, kind, AMOUNT) for name, kind in zip(NAMES, kinds, strict=True)],
        )
        self.place.opens(self.market)

    @rule()
    def all_goes_well_from_here(self) -> None:
        self.market.bring_to_rest()

    @invariant()
    def holds(self) -> None:
        self.market.promises.hold()

    def teardown(self) -> None:
        for process in self.market.living:
            process.dies()


def search(examples: int, *, derandomize: bool) -> None:
    """Search for a sequence of events that breaks a promise."""
    run_state_machine_as_test(
        PurchaseMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_task_pays_twice_and_no_two_links_can_be_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    PurchaseMachine.place = Place(monkeypatch)
    # `make fuzz` asks for many; a run of all tests makes the same few every time.
    asked_for = os.environ.get("PURCHASE_MACHINE_EXAMPLES")
    search(int(asked_for or 800), derandomize=asked_for is None)
