"""
For one task instance at most one purchase is ever paid, and at any time at most one link can be paid.

A search for a counterexample: the real ``Buyer`` in a market (``tests/support/market.py``) where everything that can
be lost is lost, every clock is wrong, and others buy the same amount at the same time.
"""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_videodb.answers import BUY
from airflow_provider_videodb.matching import CLOCK_SKEW
from airflow_provider_videodb.purchase import SETTLING_TIME
from tests.support.market import WEBSITE, Card, Happening, Market, Step, Task, TaskState

AMOUNT, OTHER_AMOUNT = 10, 20
NAMES = ("a", "b", "c")

names = st.sampled_from(NAMES)
clocks = st.sampled_from([timedelta(0), CLOCK_SKEW, -CLOCK_SKEW])
lags = st.sampled_from([timedelta(0), SETTLING_TIME / 2, SETTLING_TIME - timedelta(milliseconds=100)])
losses = st.sampled_from([happening for happening in Happening if happening is not Happening.NOTHING])


class PurchaseMachine(RuleBasedStateMachine):
    """Tasks that buy, a market that does its worst."""

    @initialize(
        card=st.sampled_from(Card),
        honours_key=st.booleans(),
        names_ids=st.sampled_from([True, True, True, False]),
        keeps_records=st.booleans(),
        monthly_limit=st.sampled_from([None, None, AMOUNT, 2 * AMOUNT]),
    )
    def opens(
        self, card: Card, honours_key: bool, names_ids: bool, keeps_records: bool, monthly_limit: int | None
    ) -> None:
        self.market = Market(
            card=card,
            honours_key=honours_key,
            names_ids=names_ids,
            keeps_records=keeps_records,
            monthly_limit=monthly_limit,
            tasks=[Task(name, AMOUNT) for name in NAMES],
        )

    @rule(name=names, clock_ahead=clocks, lag=lags, bank_agrees=st.booleans())
    def runs(self, name: str, clock_ahead: timedelta, lag: timedelta, bank_agrees: bool) -> None:
        """Run a task, in a new try if need be, until it waits or ends."""
        self._run(name, clock_ahead, lag, bank_agrees)

    @rule(
        name=names,
        clock_ahead=clocks,
        lag=lags,
        bank_agrees=st.booleans(),
        until=st.sampled_from([Step.POST, Step.ANSWER]),
        takes=st.sampled_from([0, 0, 12, 25]),
        happening=losses,
    )
    def a_post_goes_wrong(
        self,
        name: str,
        clock_ahead: timedelta,
        lag: timedelta,
        bank_agrees: bool,
        until: Step,
        takes: int,
        happening: Happening,
    ) -> None:
        """Run a task until something happens to its POST or the answer, some seconds after it was sent."""
        if self._run(name, clock_ahead, lag, bank_agrees, until):
            self.market.advance(timedelta(seconds=takes))
            self._happens(name, happening)

    @rule(
        name=names,
        clock_ahead=clocks,
        lag=lags,
        bank_agrees=st.booleans(),
        until=st.sampled_from(Step),
        nth=st.integers(1, 3),
        happening=losses,
    )
    def a_step_goes_wrong(
        self,
        name: str,
        clock_ahead: timedelta,
        lag: timedelta,
        bank_agrees: bool,
        until: Step,
        nth: int,
        happening: Happening,
    ) -> None:
        """Run a task until something happens to its nth step of a kind."""
        if self._run(name, clock_ahead, lag, bank_agrees, until, nth):
            self._happens(name, happening)

    @rule(seconds=st.sampled_from([0.5, 3, 12]))
    def moments_pass(self, seconds: float) -> None:
        self.market.advance(timedelta(seconds=seconds))

    @precondition(lambda self: not self.market.running)
    @rule(passing=st.sampled_from([timedelta(minutes=2), timedelta(minutes=7), timedelta(hours=23, minutes=55)]))
    def time_passes(self, passing: timedelta) -> None:
        self.market.advance(passing)

    @rule(data=st.data())
    def somebody_pays_a_link(self, data: st.DataObject) -> None:
        entries = self.market.entries
        links = [link for task in self.market.tasks.values() for link in task.links]
        if payable := [link for link in links if self.market.payable(entries[link])]:
            self.market.pay(entries[data.draw(st.sampled_from(payable))])

    @rule(pays=st.booleans(), lag=lags)
    def somebody_buys_on_the_website(self, pays: bool, lag: timedelta) -> None:
        self.market.lag = lag
        entry = self.market.make(AMOUNT, WEBSITE)
        if pays:
            self.market.pay(entry)

    @rule()
    def the_website_is_paid_late(self) -> None:
        for entry in self.market.entries.values():
            if entry.made_by == WEBSITE and self.market.payable(entry):
                self.market.pay(entry)
                break

    @precondition(lambda self: self.market.card is Card.LATE)
    @rule(data=st.data())
    def a_card_is_charged_late(self, data: st.DataObject) -> None:
        payable = [
            entry.id
            for entry in self.market.entries.values()
            if entry.made_by != WEBSITE and self.market.payable(entry)
        ]
        if payable:
            self.market.pay(self.market.entries[data.draw(st.sampled_from(payable))])

    @rule(name=names)
    def the_trigger_looks(self, name: str) -> None:
        task = self.market.tasks[name]
        if task.state is TaskState.WAITING:
            self.market.advance(timedelta(seconds=3))
            self.market.look(task)

    @rule(name=names)
    def a_wait_is_interrupted(self, name: str) -> None:
        """A deadline, a lost triggerer, a failed poll: the next try begins."""
        task = self.market.tasks[name]
        if task.state is TaskState.WAITING:
            task.state = TaskState.READY

    @rule(name=names)
    def somebody_clears(self, name: str) -> None:
        task = self.market.tasks[name]
        self.market.kill(task)
        task.state = TaskState.READY

    @rule(name=names)
    def somebody_answers(self, name: str) -> None:
        task = self.market.tasks[name]
        if task.asks and task.state is TaskState.STOPPED:
            self.market.answer_truthfully(task)

    @rule(name=names)
    def somebody_answers_rashly(self, name: str) -> None:
        """Nobody asked, and the answer is wrong: there is a link that can be paid, or a payment."""
        task = self.market.tasks[name]
        if task.purchase is not None and (task.purchase.handed_out or task.purchase.paid):
            task.answer = BUY

    @rule()
    def all_goes_well_from_here(self) -> None:
        self.market.bring_to_rest()

    @rule(name=names, amount=st.sampled_from([AMOUNT, OTHER_AMOUNT]))
    def a_template_renders(self, name: str, amount: int) -> None:
        self.market.tasks[name].amount = amount

    @invariant()
    def holds(self) -> None:
        self.market.check()

    def teardown(self) -> None:
        for task in self.market.running:
            task.process.kill()

    def _run(
        self,
        name: str,
        clock_ahead: timedelta,
        lag: timedelta,
        bank_agrees: bool,
        until: Step | None = None,
        nth: int = 1,
    ) -> bool:
        """Run a task until it stands before its nth step of a kind; say whether it got there."""
        market, task = self.market, self.market.tasks[name]
        market.lag, market.bank_agrees = lag, bank_agrees
        if task.state is TaskState.READY:
            market.begin_try(task, clock_ahead)
        for _ in range(200):
            if task.process is None:
                return False
            nth -= task.process.at is until
            if nth == 0:
                return True
            market.step(task)
            market.check()
        raise AssertionError(f"{name} never ends")

    def _happens(self, name: str, happening: Happening) -> None:
        task = self.market.tasks[name]
        if task.process is not None and happening is not Happening.PAUSE:
            self.market.step(task, happening)


def test_no_task_pays_twice_and_no_two_links_can_be_paid() -> None:
    # `make fuzz` asks for many; a run of all tests makes the same few every time.
    asked_for = os.environ.get("PURCHASE_MACHINE_EXAMPLES")
    run_state_machine_as_test(
        PurchaseMachine,
        settings=settings(
            max_examples=int(asked_for or 800),
            stateful_step_count=30,
            derandomize=asked_for is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
