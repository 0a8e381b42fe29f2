"""Airflow as the holds meet it: DAG runs of a gate, a job and a release, their tries, and people who clear them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.airflow_runs import FINISHED
from airflow_provider_videodb.holds.gate import is_earlier_try_unused
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.ledger import Ledger
from airflow_provider_videodb.holds.rules.records import PREFIX, Kind
from tests.support.holds_search import programs
from tests.support.holds_search.account import Account, Job
from tests.support.holds_search.process import Process
from tests.support.holds_search.store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.holds_search.schedule import Schedule
    from tests.support.holds_search.timeline import Timeline

_MAX_TRIES = 5
#: The clocks of two machines differ by twice this at most, in seconds.
SKEW = 60.0


@dataclass
class Pipeline:
    """
    One DAG run.

    :param costs: what the job spends: seconds after its start, and credits.
    """

    name: str
    credits: int
    costs: list[tuple[float, int]]
    duration: float
    job_fails: bool
    releases: bool
    arrives: float
    is_setup: bool
    gate: str | None = None
    job: str | None = None
    release: str | None = None
    is_active: bool = True
    gate_try: int = 0
    release_try: int = 0
    #: Differs for each start of the job, so that an event of an earlier one does nothing.
    round: int = 0
    running: Job | None = None
    spent: int = 0
    opened_after: float | None = None
    processes: list[Process] = field(default_factory=list)


class Airflow:
    """
    The DAG runs of one schedule.

    :param schedule: what happens in it.
    """

    def __init__(self, schedule: Schedule, timeline: Timeline, account: Account) -> None:
        self.schedule, self.timeline, self.account = schedule, timeline, account
        self.random = timeline.random
        self.store = MemoryStore(self._flag_changed)
        self.runs = {run.name: run for run in schedule.pipelines}
        for run in schedule.pipelines:
            timeline.after(run.arrives, lambda run=run: self.start_gate(run))

    # What the ledger asks Airflow

    def has_run_ended(self, who: Identity) -> bool:
        return not self.runs[who.dag_id].is_active

    def has_task_finished(self, who: Identity) -> bool:
        return self.runs[who.dag_id].gate in FINISHED

    # Tries

    def start_gate(self, run: Pipeline) -> None:
        if not run.is_active:
            return
        self.timeline.event()
        run.gate, run.gate_try = "running", run.gate_try + 1
        mine = run.gate_try
        ledger = self._ledger(run, mine)

        def is_current() -> bool:
            return run.gate_try == mine and run.gate == "running"

        program = programs.gate(self, run, mine)
        self._start(run, program, ledger, is_current, lambda: self._retry_gate(run))

    def _retry_gate(self, run: Pipeline) -> None:
        if run.gate_try >= _MAX_TRIES:
            run.gate = "failed"
            self.end_run(run)
        else:
            self.start_gate(run)

    def start_release(self, run: Pipeline) -> None:
        self.timeline.event()
        run.release, run.release_try = "running", run.release_try + 1
        mine = run.release_try

        def is_current() -> bool:
            return run.release_try == mine and run.release == "running"

        def retry() -> None:
            if self.random.random() < 0.5:
                self.start_release(run)
            else:
                run.release = "failed"
                self.end_run(run)

        ledger = self._ledger(run, mine)
        program = programs.release(self, run, is_current)
        self._start(run, program, ledger, is_current, retry)

    def _start(
        self, run: Pipeline, program: Any, ledger: Ledger, is_current: Callable[[], bool], retry: Callable[[], None]
    ) -> None:
        def lost(seconds: float) -> None:
            self.timeline.after(seconds, lambda: retry() if is_current() else None)

        run.processes.append(
            Process(
                self.timeline,
                program,
                ledger,
                is_current=is_current,
                lost=lost,
                fault_rate=self.schedule.fault_rate,
                latency=self.schedule.latency,
            )
        )

    def _ledger(self, run: Pipeline, try_number: int) -> Ledger:
        who = Identity(
            dag_id=run.name, run_id="run", task_id="gate", map_index=-1, try_number=try_number, settlement_ms=0
        )
        return Ledger(
            programs.ACCOUNT,
            store=self.store,
            me=who,
            read_balance=lambda: self.account.balance,
            is_unused=lambda: is_earlier_try_unused([run.job, run.release], is_setup=run.is_setup),
            now=self.timeline.clock(self.random.uniform(-SKEW, SKEW)),
        )

    # What happens to a run

    def open_gate(self, run: Pipeline, try_number: int) -> None:
        """Take the success of a gate, if it comes from the newest try."""
        if run.gate_try != try_number or run.gate != "running":
            return
        run.gate = "success"
        self.timeline.event()
        if run.opened_after is None:
            run.opened_after = self.timeline.now - run.arrives
        if run.job is None:
            run.round += 1
            run.running, run.spent = Job(run.name, run.credits), 0
            self.account.open_gate(run.running)
            self._in_round(run, self.random.random() * self.schedule.scheduler_delay, lambda: self._start_job(run))
        elif run.job in FINISHED and run.release != "running":
            self.end_run(run)

    def _start_job(self, run: Pipeline) -> None:
        run.job = "running"
        self.timeline.event()
        end = run.duration * (self.random.random() if run.job_fails else 1.0)
        for after, credits in run.costs:
            if after <= end:
                self._in_round(run, after, lambda credits=credits: self.spend(credits, run))
        self._in_round(run, end, lambda: self._end_job(run))

    def spend(self, credits: int, run: Pipeline | None = None) -> None:
        """Spend credits. The balance shows it 5 to 15 minutes later."""
        if run is not None:
            run.spent += credits
        self.account.charge(credits, None if run is None else run.running)

        def show() -> None:
            self.account.show_charge(credits)
            self.timeline.changed()

        self.timeline.after(self.random.uniform(300.0, 900.0), show)

    def _end_job(self, run: Pipeline) -> None:
        self._stop_job(run, "failed" if run.job_fails else "success")
        self.timeline.event()
        if run.releases:
            self.timeline.after(self.random.random() * self.schedule.scheduler_delay, lambda: self._may_release(run))
        else:
            self.end_run(run)

    def _may_release(self, run: Pipeline) -> None:
        if run.is_active and run.job in FINISHED and run.release is None:
            self.start_release(run)

    def _stop_job(self, run: Pipeline, state: str | None) -> None:
        run.job = state
        run.round += 1
        if run.running is not None:
            self.account.end(run.running)
            run.running = None

    def end_release(self, run: Pipeline, is_current: Callable[[], bool]) -> None:
        """Take the success of a release, if it comes from the newest try."""
        if is_current():
            run.release = "success"
            self.end_run(run)

    def end_run(self, run: Pipeline) -> None:
        """End a run, unless its gate runs again."""
        if run.gate != "running":
            run.is_active = False
            self.timeline.changed()
            self.timeline.event()

    def clear(self, run: Pipeline, *, alone: bool) -> None:
        """Clear the gate, as a person does: alone, or with the tasks behind it."""
        if run.gate is None:
            return
        for process in run.processes:
            # A worker learns it with its next heartbeat, unless it is frozen.
            if self.random.random() < 0.7:
                self.timeline.after(self.random.random() * 60.0, process.kill)
        run.is_active = True
        if run.job == "running" and not alone:
            self._stop_job(run, "restarting")
            self._in_round(run, 1.0 + self.random.random() * 30.0, lambda: setattr(run, "job", None))
        elif run.job is None or not alone:
            # The job has not begun, and now it has to wait for the gate.
            self._stop_job(run, None)
        if not alone:
            run.release = None
        run.gate = "scheduled"
        self.timeline.after(self.random.random() * self.schedule.scheduler_delay, lambda: self.start_gate(run))

    def _in_round(self, run: Pipeline, seconds: float, event: Callable[[], object]) -> None:
        mine = run.round
        self.timeline.after(seconds, lambda: event() if run.round == mine else None)

    def _flag_changed(self, key: str) -> None:
        self.timeline.changed()
        parts = key.removeprefix(PREFIX).split("/")
        if parts[3:4] == [Kind.RELEASED]:
            # The slowest clock sees it end this late.
            ends = int(parts[5]) / 1000 - self.timeline.clock(0.0)()
            self.timeline.after(ends + SKEW + 1, self._settled)

    def _settled(self) -> None:
        self.timeline.changed()
        self.timeline.event()
