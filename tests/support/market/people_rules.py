"""Rules of the search: what Airflow and people do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import rule

from airflow_provider_videodb.purchases.rules.resolution import BUY
from tests.support.market.airflow import Trouble
from tests.support.market.draws import (
    AMOUNT,
    OTHER_AMOUNT,
    clocks,
    lags,
    names,
    nths,
    steps,
)
from tests.support.market.process import Step
from tests.support.market.rest import READY

if TYPE_CHECKING:
    from tests.support.market.market import Market


class PeopleRules:
    """Airflow has trouble, and people clear, mark, pay and resolve."""

    market: Market

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
    def the_trigger_polls(self, name: str) -> None:
        task = self.market.tasks[name]
        if task.waits_for is not None:
            self.market.advance(timedelta(seconds=3))
            self.market.poll(task)

    @rule(name=names)
    def a_wait_is_interrupted(self, name: str) -> None:
        """A deadline, a lost triggerer, a failed poll: the next try begins."""
        task = self.market.tasks[name]
        if task.waits_for is not None:
            task.waits_for = task.watch = None
            self.market.airflow.replace(name, "up_for_retry")

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
    def somebody_resolves(self, name: str) -> None:
        task = self.market.tasks[name]
        if task.asks and self.market.state(task) == "failed":
            self.market.resolve_truthfully(task)

    @rule(name=names)
    def somebody_resolves_rashly(self, name: str) -> None:
        """Nobody asked, and the resolution is wrong: there is a link that can be paid, or a payment."""
        record = self.market.airflow.record(name)
        # Whoever says "buy" while VideoDB goes on calling the link expired is taken at their word.
        is_denied = any(entry.lie is not None and entry.lie.is_long for entry in self.market.videodb.entries.values())
        if record is not None and (record.link_shared or record.paid) and not is_denied:
            self.market.resolve(self.market.tasks[name], BUY)

    @rule(name=names, amount=st.sampled_from([AMOUNT, OTHER_AMOUNT]))
    def a_template_renders(self, name: str, amount: int) -> None:
        self.market.tasks[name].amount = amount
