"""
For one task instance at most one purchase is ever paid, and at any time at most one link can be paid.

A search for a counterexample: the real code that buys, in a market (``tests/support/market``) where everything that can
be lost is lost, every clock is wrong, VideoDB's list and Airflow's API server lie, workers stand still and go on when
another try has begun, and others buy the same amount at the same time.
"""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

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

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, IdSource
from airflow_provider_videodb.exceptions import VideoDBResponseError, VideoDBServerError
from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW, LIST_LAG
from airflow_provider_videodb.purchases.rules.resolution import BUY
from tests.support.market.airflow import Trouble
from tests.support.market.installed import KEEPS, Place
from tests.support.market.market import READY, Market
from tests.support.market.process import Step
from tests.support.market.tasks import Kind, Task
from tests.support.market.videodb import WEBSITE, Card, Outcome

if TYPE_CHECKING:
    import pytest

    from tests.support.market.process import Process
    from tests.support.market.videodb import Entry

AMOUNT, OTHER_AMOUNT = 10, 20
NAMES = ("a", "b", "c")
DAY = timedelta(days=1)
#: Less than the settling time.
SHORT = timedelta(seconds=5)

names = st.sampled_from(("a", "a", "a", "a", "a", "a", "b", "c"))
skews = (timedelta(0), CLOCK_SKEW, -CLOCK_SKEW)
clocks = st.sampled_from((*skews, *skews, DAY, -DAY))
lags = st.sampled_from([timedelta(0), LIST_LAG / 2, LIST_LAG - timedelta(milliseconds=100)])
steps = st.sampled_from([step for step in Step if step is not Step.SLEEPS])
late_steps = st.sampled_from([Step.SAVED, Step.ASKED_NEWEST, Step.CONNECTED, Step.CARRIED_OUT, Step.HANDED_OUT])
#: What the list shows of a checkout, to how many looks at most, and for how long; for good where nothing is said of it.
lies = st.tuples(
    st.sampled_from(["expired", "expired", "pending", "processing", "requires_action", None]),
    st.none() | st.integers(1, 3),
    st.sampled_from([SHORT, timedelta(minutes=2), timedelta(hours=6)]),
) | st.just((None, None, None))
ends = st.sampled_from(["thought dead", "cleared", "failed", "success", "marked and cleared"])
nths = st.sampled_from([1, 1, 2, 2, 3, 4, 5])


class PurchaseMachine(RuleBasedStateMachine):
    """Tasks that buy, a market that does its worst."""

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

    # Workers

    @rule(name=names, clock=clocks, lag=lags, bank_agrees=st.booleans())
    def runs(self, name: str, clock: timedelta, lag: timedelta, bank_agrees: bool) -> None:
        """Run a task, in a new try if need be, until it waits or ends."""
        self._run(name, clock, lag, bank_agrees)

    @rule(
        name=names,
        clock=clocks,
        lag=lags,
        bank_agrees=st.booleans(),
        outcome=st.sampled_from((*Outcome, Outcome.LOST_ON_ITS_WAY, Outcome.LOST_ON_ITS_WAY)),
        takes=st.sampled_from([0, 0, 0, 12, 25]),
        dies=st.booleans(),
        is_retried=st.booleans(),
    )
    def a_post_goes_wrong(
        self,
        name: str,
        clock: timedelta,
        lag: timedelta,
        bank_agrees: bool,
        outcome: Outcome,
        takes: int,
        dies: bool,
        is_retried: bool,
    ) -> None:
        """Run a task whose POST comes to no good, some seconds after it was sent."""
        outcomes = self.market.videodb.outcomes
        outcomes.append(outcome)
        until = Step.SENT if outcome is Outcome.LOST_ON_ITS_WAY else Step.CARRIED_OUT
        process = self._run(name, clock, lag, bank_agrees, until)
        outcomes.clear()
        if process is not None:
            self.market.advance(timedelta(seconds=takes))
            if dies:
                self.market.kill(process)
            else:
                self.market.go(process)
        if is_retried:
            self._run(name, clock, lag, bank_agrees)

    @rule(name=names, clock=clocks, lag=lags, bank_agrees=st.booleans(), until=steps, nth=nths)
    def a_process_dies(
        self, name: str, clock: timedelta, lag: timedelta, bank_agrees: bool, until: Step, nth: int
    ) -> None:
        process = self._run(name, clock, lag, bank_agrees, until, nth)
        if process is not None:
            self.market.kill(process)

    @rule(name=names, clock=clocks, lag=lags, bank_agrees=st.booleans(), until=steps, nth=nths, suspended=st.booleans())
    def a_process_stands_still(
        self, name: str, clock: timedelta, lag: timedelta, bank_agrees: bool, until: Step, nth: int, suspended: bool
    ) -> None:
        process = self._run(name, clock, lag, bank_agrees, until, nth)
        if process is not None and suspended:
            process.sleeps_with_its_machine()

    @rule(
        name=names,
        clock=clocks,
        lag=lags,
        bank_agrees=st.booleans(),
        until=steps | late_steps,
        nth=nths,
        suspended=st.booleans(),
        how=ends,
        is_told=st.booleans(),
    )
    def a_try_is_replaced(
        self,
        name: str,
        clock: timedelta,
        lag: timedelta,
        bank_agrees: bool,
        until: Step,
        nth: int,
        suspended: bool,
        how: str,
        is_told: bool,
    ) -> None:
        """Run a task until a step, where Airflow gives its try up or a user ends it; the process lives on."""
        process = self._run(name, clock, lag, bank_agrees, until, nth)
        if process is None:
            return
        if suspended:
            process.sleeps_with_its_machine()
        task = self.market.tasks[name]
        if process is task.process:
            self._is_complete(task, how)
        if is_told:
            process.told = self.market.time.tick()

    @rule(
        name=names,
        lag=lags,
        until=steps | late_steps,
        nth=nths,
        suspended=st.booleans(),
        how=ends,
        passing=st.sampled_from([timedelta(0), timedelta(0), timedelta(seconds=3), timedelta(minutes=2)]),
        newer_until=st.none() | st.sampled_from([Step.LISTED, Step.CONNECTED, Step.CARRIED_OUT]),
    )
    def two_tries_run_at_once(
        self,
        name: str,
        lag: timedelta,
        until: Step,
        nth: int,
        suspended: bool,
        how: str,
        passing: timedelta,
        newer_until: Step | None,
    ) -> None:
        """Run a task until a step, begin another try, and let the first go on somewhere in the midst of that."""
        self.a_try_is_replaced(name, timedelta(0), lag, True, until, nth, suspended, how, False)
        self.market.advance(passing)
        newer = self._run(name, lag=lag, until=newer_until)
        for process in list(self.market.old):
            self.market.go(process)
        if newer is not None:
            self.market.go(newer)

    @precondition(lambda self: self.market.old)
    @rule(data=st.data(), until=st.none() | steps, nth=nths)
    def an_old_try_goes_on(self, data: st.DataObject, until: Step | None, nth: int) -> None:
        old = self.market.old
        self.market.go(old[data.draw(st.integers(0, len(old) - 1))], until, nth)

    @precondition(lambda self: self.market.old)
    @rule()
    def old_tries_die(self) -> None:
        for process in list(self.market.old):
            self.market.kill(process)

    @rule(name=names, clock=clocks, lag=lags, bank_agrees=st.booleans(), until=steps, nth=nths)
    def a_worker_is_told_to_stop(
        self, name: str, clock: timedelta, lag: timedelta, bank_agrees: bool, until: Step, nth: int
    ) -> None:
        """Tell a process to stop, by its machine's shutdown, say: Airflow still has the task for running."""
        process = self._run(name, clock, lag, bank_agrees, until, nth)
        if process is not None:
            process.told = self.market.time.tick()
            self.market.go(process)

    @rule(name=names, clock=clocks, lag=lags, bank_agrees=st.booleans(), until=steps, nth=nths, sets=clocks)
    def a_clock_is_set(
        self, name: str, clock: timedelta, lag: timedelta, bank_agrees: bool, until: Step, nth: int, sets: timedelta
    ) -> None:
        """Set the clock of a worker while it runs a task."""
        process = self._run(name, clock, lag, bank_agrees, until, nth)
        if process is not None:
            self.market.set_clock(process, sets)
            self.market.go(process)

    # The time

    @rule(seconds=st.sampled_from([0.5, 3, 7, 12]))
    def moments_pass(self, seconds: float) -> None:
        self.market.advance(timedelta(seconds=seconds))

    @rule(passing=st.sampled_from([timedelta(minutes=2), timedelta(minutes=7), timedelta(hours=23, minutes=55)]))
    def time_passes(self, passing: timedelta) -> None:
        self.market.advance(passing)

    # VideoDB

    @rule(
        name=names, lag=lags, error=st.sampled_from([VideoDBServerError, VideoDBResponseError]), looks=st.integers(1, 2)
    )
    def a_look_fails(self, name: str, lag: timedelta, error: type[Any], looks: int) -> None:
        self.market.videodb.failing_looks.extend([error] * looks)
        self._run(name, timedelta(0), lag, True)
        self.market.videodb.failing_looks.clear()

    @rule(data=st.data(), lie=lies)
    def the_list_lies(self, data: st.DataObject, lie: tuple[str | None, int | None, timedelta | None]) -> None:
        """Let the list show something else of a checkout."""
        entries = [entry for entry in self.market.videodb.entries.values() if entry.made_by != WEBSITE]
        if entries:
            self._lies(entries[data.draw(st.integers(0, len(entries) - 1))], lie)

    @rule(
        name=names,
        lie=lies,
        age=st.sampled_from([None, None, timedelta(hours=23, minutes=52), timedelta(hours=24)]),
        is_paid=st.booleans(),
        looks=st.booleans(),
    )
    def a_task_meets_a_lie(
        self,
        name: str,
        lie: tuple[str | None, int | None, timedelta | None],
        age: timedelta | None,
        is_paid: bool,
        looks: bool,
    ) -> None:
        """Let the list show something else of a task's link, perhaps of an old one, to the task or its trigger."""
        market, task = self.market, self.market.tasks[name]
        if not task.links:
            return
        entry = market.videodb.entries[task.links[-1]]
        if age is not None:
            market.advance(max(timedelta(0), entry.made_at + age - market.time.now))
        if is_paid and market.videodb.payable(entry):
            market.videodb.pay(entry)
        self._lies(entry, lie)
        if looks:
            self.the_trigger_looks(name)
        else:
            self.a_wait_is_interrupted(name)
            self._run(name)

    @rule(
        amount=st.sampled_from([AMOUNT, -AMOUNT, None]),
        currency=st.sampled_from(["usd", "eur"]),
        status=st.sampled_from(["completed", "pending", "active"]),
        dated=st.booleans(),
        named=st.booleans(),
        is_unreadable=st.booleans(),
    )
    def the_list_shows_something_foreign(
        self, amount: int | None, currency: str, status: str, dated: bool, named: bool, is_unreadable: bool
    ) -> None:
        foreign = self.market.videodb.foreign
        missing = [name for name, there in (("amount", amount is not None), ("created_at", dated)) if not there]
        foreign.append(
            Checkout(
                id=f"cs_foreign_{len(foreign)}" if named else None,
                url=None,
                amount=None if amount is None else Decimal(amount),
                currency=currency,
                status=status,
                created_at=self.market.time.now.replace(microsecond=0) if dated else None,
                id_source=IdSource.LIST,
                unreadable=tuple(missing) if is_unreadable else (),
            )
        )

    @rule(pays=st.booleans(), lag=lags)
    def somebody_buys_on_the_website(self, pays: bool, lag: timedelta) -> None:
        videodb = self.market.videodb
        videodb.lag = lag
        entry = videodb.make(AMOUNT, WEBSITE)
        if pays:
            videodb.pay(entry)

    @rule()
    def the_website_is_paid_late(self) -> None:
        videodb = self.market.videodb
        for entry in videodb.entries.values():
            if entry.made_by == WEBSITE and videodb.payable(entry):
                videodb.pay(entry)
                break

    @precondition(lambda self: self.market.videodb.card is Card.LATE)
    @rule(data=st.data())
    def a_card_is_charged_late(self, data: st.DataObject) -> None:
        videodb = self.market.videodb
        payable = [entry for entry in videodb.entries.values() if entry.made_by != WEBSITE and videodb.payable(entry)]
        if payable:
            videodb.pay(payable[data.draw(st.integers(0, len(payable) - 1))])

    @rule(credits=st.sampled_from([4, 6, AMOUNT, -4, -AMOUNT]))
    def others_fill_the_account_or_use_it_up(self, credits: int) -> None:
        self.market.videodb.others_credits += credits

    # Airflow

    @rule(
        name=names,
        clock=clocks,
        lag=lags,
        bank_agrees=st.booleans(),
        until=steps,
        nth=nths,
        trouble=st.sampled_from(Trouble),
        calls=st.sampled_from([None, 1, 1, 2, 5]),
        dies=st.booleans(),
    )
    def airflow_has_trouble(
        self,
        name: str,
        clock: timedelta,
        lag: timedelta,
        bank_agrees: bool,
        until: Step,
        nth: int,
        trouble: Trouble,
        calls: int | None,
        dies: bool,
    ) -> None:
        """Run a task, let the API server fail from some step on, and let the task go on to its end or its death."""
        process = self._run(name, clock, lag, bank_agrees, until, nth)
        # One failure after the other, fitted to what a process does next, is more than a database does.
        if process is None or any(living.troubled for living in self.market.living):
            return
        self.market.airflow.trouble, self.market.airflow.troubled_calls = trouble, calls
        if self.market.go(process, Step.CARRIED_OUT if dies else None):
            self.market.kill(process)

    @rule(
        name=names,
        trouble=st.sampled_from((*Trouble, Trouble.READ, Trouble.READ)),
        calls=st.sampled_from([None, 1, 2, 2, 2, 3, 5]),
    )
    def a_try_begins_in_trouble(self, name: str, trouble: Trouble, calls: int | None) -> None:
        """Let a task begin another try while the API server fails, for good or for some calls."""
        if any(living.troubled for living in self.market.living):
            return
        if self.market.state(self.market.tasks[name]) not in (*READY, "running"):
            self.somebody_clears(name)
        self.market.airflow.trouble, self.market.airflow.troubled_calls = trouble, calls
        self._run(name)

    @rule()
    def airflow_recovers(self) -> None:
        self.market.airflow.trouble = None

    @rule(name=names)
    def the_trigger_looks(self, name: str) -> None:
        task = self.market.tasks[name]
        if task.waits_for is not None:
            self.market.advance(timedelta(seconds=3))
            self.market.look(task)

    @rule(name=names)
    def a_wait_is_interrupted(self, name: str) -> None:
        """A deadline, a lost triggerer, a failed poll: the next try begins."""
        task = self.market.tasks[name]
        if task.waits_for is not None:
            task.waits_for = task.watch = None
            self.market.airflow.replace(name, "up_for_retry")

    # People

    @rule(name=names)
    def somebody_clears(self, name: str) -> None:
        self.market.clear(self.market.tasks[name])

    @rule(name=names, is_forgotten=st.booleans(), passing=st.sampled_from([timedelta(0), timedelta(minutes=20)]))
    def what_is_paid_is_cleared(self, name: str, is_forgotten: bool, passing: timedelta) -> None:
        """Clear a task that has paid, perhaps after VideoDB's list has forgotten what."""
        task = self.market.tasks[name]
        for checkout_id in task.reported:
            entry = self.market.videodb.entries.get(checkout_id)
            if is_forgotten and entry is not None and entry.made_by in self.market.tasks:
                self._lies(entry, (None, None, None))
        if task.reported:
            self.market.advance(passing)
            self.market.clear(task)
            self._run(name)

    @rule(name=names, state=st.sampled_from(["failed", "success"]))
    def somebody_marks(self, name: str, state: str) -> None:
        self.market.mark(self.market.tasks[name], state)

    @rule(data=st.data())
    def somebody_pays_a_link(self, data: st.DataObject) -> None:
        videodb = self.market.videodb
        links = [link for task in self.market.tasks.values() for link in task.links]
        if payable := [link for link in links if videodb.payable(videodb.entries[link])]:
            videodb.pay(videodb.entries[payable[data.draw(st.integers(0, len(payable) - 1))]])

    @rule(name=names)
    def somebody_answers(self, name: str) -> None:
        task = self.market.tasks[name]
        if task.asks and self.market.state(task) == "failed":
            self.market.answer_truthfully(task)

    @rule(name=names)
    def somebody_answers_rashly(self, name: str) -> None:
        """Nobody asked, and the answer is wrong: there is a link that can be paid, or a payment."""
        record = self.market.airflow.record(name)
        # Whoever says "buy" while VideoDB goes on calling the link expired is taken at their word.
        is_denied = any(entry.lie is not None and entry.lie.is_long for entry in self.market.videodb.entries.values())
        if record is not None and (record.link_shared or record.paid) and not is_denied:
            self.market.answer(self.market.tasks[name], BUY)

    @rule(name=names, amount=st.sampled_from([AMOUNT, OTHER_AMOUNT]))
    def a_template_renders(self, name: str, amount: int) -> None:
        self.market.tasks[name].amount = amount

    @rule()
    def all_goes_well_from_here(self) -> None:
        self.market.bring_to_rest()

    @invariant()
    def holds(self) -> None:
        self.market.promises.hold()

    def teardown(self) -> None:
        for process in self.market.living:
            process.dies()

    def _lies(self, entry: Entry, lie: tuple[str | None, int | None, timedelta | None]) -> None:
        word, reads, lasts = lie
        task = self.market.tasks[entry.made_by]
        if word == CheckoutStatus.EXPIRED and lasts != SHORT and self.market.answer_of(task) is not None:
            return
        self.market.videodb.lies(entry, word, known=self.market.knows(entry), reads=reads, lasts=lasts)

    def _run(
        self,
        name: str,
        clock: timedelta = timedelta(0),
        lag: timedelta = timedelta(0),
        bank_agrees: bool = True,
        until: Step | None = None,
        nth: int = 1,
    ) -> Process | None:
        """Run a task until it has done its nth step of a kind; return its process if it got there."""
        market, task = self.market, self.market.tasks[name]
        market.videodb.lag, market.videodb.bank_agrees = lag, bank_agrees
        if market.state(task) in READY:
            market.begin_try(task, clock)
        process = task.process
        return process if process is not None and market.go(process, until, nth) else None

    def _is_complete(self, task: Task, how: str) -> None:
        market = self.market
        if how == "thought dead":
            market.think_dead(task)
        elif how == "cleared":
            market.clear(task)
        elif how == "marked and cleared":
            market.mark(task, "failed")
            market.clear(task)
        else:
            market.mark(task, how)


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
