"""Rules of the search: what happens to workers, and the time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.support.market.draws import (
    clocks,
    ends,
    lags,
    late_steps,
    names,
    nths,
    steps,
)
from tests.support.market.process import Process, Step
from tests.support.market.rest import READY
from tests.support.market.videodb import Outcome

if TYPE_CHECKING:
    from tests.support.market.market import Market
    from tests.support.market.tasks import Task


class WorkerRules:
    """Workers run, die, freeze, are replaced and told to stop."""

    market: Market

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

    @rule(seconds=st.sampled_from([0.5, 3, 7, 12]))
    def moments_pass(self, seconds: float) -> None:
        self.market.advance(timedelta(seconds=seconds))

    @rule(passing=st.sampled_from([timedelta(minutes=2), timedelta(minutes=7), timedelta(hours=23, minutes=55)]))
    def time_passes(self, passing: timedelta) -> None:
        self.market.advance(passing)

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
