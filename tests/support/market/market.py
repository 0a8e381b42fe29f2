"""
What surrounds a purchase, in virtual time: VideoDB, its website, Airflow and its workers, the people who pay.

The purchase itself is the real one: each try of a task runs the real ``PurchaseExecutor``, journal, stores, Variables,
claims and ``CurrentTry`` in a process that can be stopped after every step.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBCheckoutMissingError,
    VideoDBError,
    VideoDBPurchaseUnknownError,
    is_permanent,
)
from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW
from airflow_provider_videodb.purchases.rules.resolution import BUY, resolution_variable
from airflow_provider_videodb.purchases.rules.tracking import PaymentTracker
from tests.support.market.airflow import FRESH, Airflow, Keeps
from tests.support.market.process import Died, Process, Step, Time
from tests.support.market.promises import Promises
from tests.support.market.rest import Rest
from tests.support.market.tasks import Kind
from tests.support.market.tries import Ended, Try, paid_in
from tests.support.market.videodb import ON_ITS_WAY, VideoDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_videodb.api.models import Checkout
    from tests.support.market.tasks import Task
    from tests.support.market.videodb import Card, Entry

_NO_TIME = timedelta(0)
#: Longer than what a try has learnt from Airflow holds.
_STALE = FRESH + timedelta(seconds=1)


class Market(Rest):
    """An account, an Airflow, and the tasks that buy."""

    def __init__(
        self,
        *,
        card: Card,
        keeps: Keeps,
        honours_key: bool,
        names_ids: bool,
        monthly_limit: int | None,
        tasks: Iterable[Task],
    ) -> None:
        self.time = Time()
        self.tasks = {task.name: task for task in tasks}
        self.monthly_limit = monthly_limit
        self.videodb = VideoDB(self.time, card=card, honours_key=honours_key, names_ids=names_ids)
        self.airflow = Airflow(self.time, keeps, self.tasks)
        self.promises = Promises(self)
        #: Processes of tries that Airflow has given up or ended, and that run all the same.
        self.old: list[Process] = []

    # The time

    def advance(self, passing: timedelta) -> None:
        """Let time pass, and let happen what then happens by itself."""
        until = self.time.now + passing
        requests = self.videodb.requests
        while requests and min(request.arrives for request in requests) <= until:
            self.videodb.carry_out(min(requests, key=lambda waiting: waiting.arrives))
        self.time.now = until

    # The processes

    @property
    def living(self) -> list[Process]:
        """All processes, of tries that are over too."""
        return [*self.old, *(task.process for task in self.tasks.values() if task.process is not None)]

    def state(self, task: Task) -> str | None:
        """Return the state of a task in Airflow."""
        return self.airflow.rows[task.name].state

    def begin_try(self, task: Task, wall_ahead: timedelta = _NO_TIME) -> None:
        """Start what ``execute`` does, in a new try."""
        for old in self.old:
            since = old.about_to_save_since
            if old.task == task.name and since is not None and self.time.now - since < _STALE:
                # The exception: a worker that freezes while it writes the record in a Variable.
                self.advance(_STALE)
        row = self.airflow.begin(task.name)
        task.waits_for = task.watch = None
        task.seen_paid = frozenset()
        self._start(task, lambda process: Try(self, task, process).execute(), row.try_number, wall_ahead)

    def go(self, process: Process, until: Step | None = None, nth: int = 1) -> bool:
        """Let a process go on until it has done its nth step of a kind, or has ended; say whether it got there."""
        for _ in range(400):
            if process.ended:
                return False
            if process.at is Step.SLEEPS and process.wakes is not None and process.wakes > self.time.now:
                # The time of a sleep passes for everybody.
                self.advance(process.wakes - self.time.now)
                if process.ended:
                    return False
            self._resume(process, until, nth)
            if process.ended:
                return False
            if process.stands_at(until):
                return True
            nth = process.left
        raise AssertionError(f"{process.task} never ends")

    def kill(self, process: Process) -> None:
        """End a process at once; Airflow begins another try if it was the newest."""
        if not process.ended:
            process.dies()
            self._has_ended(process)

    def set_clock(self, process: Process, ahead: timedelta) -> None:
        """Set the clock of a worker."""
        is_wrong = abs(ahead) > CLOCK_SKEW
        # Another exception: nothing but a date could tell which checkout belongs to a link alone.
        if self.videodb.names_ids or not is_wrong:
            process.wall_ahead = ahead
            process.clock_was_wrong |= is_wrong

    def think_dead(self, task: Task) -> None:
        """Let Airflow give up the newest try, which runs on."""
        self._let_run_on(task)
        self.airflow.replace(task.name, "up_for_retry")

    def clear(self, task: Task) -> None:
        """Let a user run the task once more."""
        state = "restarting" if self.state(task) == "running" else None
        self._let_run_on(task)
        self.airflow.replace(task.name, state)

    def mark(self, task: Task, state: str) -> None:
        """Let a user mark a task, whose process runs on for a while."""
        self._let_run_on(task)
        self.airflow.mark(task.name, state)

    def _let_run_on(self, task: Task) -> None:
        if task.process is not None:
            self.old.append(task.process)
            task.process = None
        task.watch = task.waits_for = None

    def _start(self, task: Task, work: Callable[[Process], Ended], try_number: int, wall_ahead: timedelta) -> None:
        row = self.airflow.rows[task.name]
        task.process = Process(work, time=self.time, task=task.name, ti_id=row.id, try_number=try_number)
        self.set_clock(task.process, wall_ahead)
        task.process.seen_paid = task.seen_paid

    def _resume(self, process: Process, until: Step | None = None, nth: int = 1) -> None:
        process.go(until, nth)
        if process.ended:
            self._has_ended(process)

    def _has_ended(self, process: Process) -> None:
        task = self.tasks[process.task]
        if process in self.old:
            self.old.remove(process)
        else:
            task.process = None
        error = process.error
        if error is not None and not isinstance(error, VideoDBError | Died):
            raise error
        if not self.airflow.is_current(process):
            return
        if error is not None:
            self._failed(task, error)
            return
        ended: Ended = process.result
        purchase = ended.purchase
        if ended.waits:
            assert purchase is not None
            self.airflow.mark(task.name, "deferred")
            self.airflow.over.pop(process.ti_id)
            task.waits_for, task.watch = purchase, PaymentTracker(purchase)
            return
        if purchase is not None and purchase.paid:
            self.promises.reports(process, purchase)
        task.error = None
        self.airflow.mark(task.name, "success")

    def _failed(self, task: Task, err: BaseException) -> None:
        task.error = err if isinstance(err, VideoDBError) else None
        task.watch = task.waits_for = None
        # A person whose resolution cannot be applied has acted all the same.
        task.asks = self.resolution_of(task) is None and (task.asks or isinstance(err, VideoDBPurchaseUnknownError))
        if is_permanent(err):
            self.airflow.mark(task.name, "failed")
        else:
            self.airflow.replace(task.name, "up_for_retry")

    # The triggerer

    def poll(self, task: Task) -> None:
        """Let a waiting task's trigger poll, and start what follows from it."""
        assert task.waits_for is not None
        assert task.watch is not None
        if task.kind is Kind.ENSURE:
            self._go_on(task, task.waits_for)
            return
        checkouts = self.videodb.view()
        task.seen_paid = paid_in(checkouts)
        try:
            seen = task.watch.check(by_id(checkouts), now=self.time.now)
        except VideoDBError as err:
            self._check_end_of_wait(task, err, checkouts)
            self._failed(task, err)
            return
        if seen is not None:
            self._go_on(task, seen)
            return
        paid = {entry.id for entry in self.promises.paid_by(task)}
        left = paid & task.seen_paid & self.airflow.watched[task.name]
        assert not left, f"{task.name} waits on although {left} of its checkouts is paid"

    def _go_on(self, task: Task, seen: Any) -> None:
        row = self.airflow.rows[task.name]
        row.state = "running"
        self._start(task, lambda process: Try(self, task, process).go_on(seen), row.try_number, _NO_TIME)

    def _check_end_of_wait(self, task: Task, err: VideoDBError, checkouts: list[Checkout]) -> None:
        """A wait may end in an error only on what VideoDB says of the checkout, not on what nobody understands."""
        assert task.waits_for is not None
        own = by_id(checkouts).get(task.waits_for.checkout_id or "")
        said = None if own is None else own.status
        means: dict[str | None, type[VideoDBError]] = {
            None: VideoDBCheckoutMissingError,
            CheckoutStatus.EXPIRED: VideoDBCheckoutExpiredError,
        }
        assert said in means, f"{task.name} stops waiting where VideoDB says {said!r}"
        assert isinstance(err, means[said])

    # The people

    def resolution_of(self, task: Task) -> str | None:
        """Return the resolution of a task's purchase."""
        record = self.airflow.record(task.name)
        return None if record is None else self.airflow.variables.get(resolution_variable(record))

    def resolve(self, task: Task, resolution: str) -> None:
        """Let a person resolve."""
        record = self.airflow.record(task.name)
        assert record is not None
        self.airflow.variables[resolution_variable(record)] = resolution

    def resolve_truthfully(self, task: Task) -> None:
        """Let a person read the console and name which checkout was this task's."""
        self.advance(2 * ON_ITS_WAY)
        own = [
            entry
            for entry in self.videodb.entries.values()
            if entry.made_by == task.name and self.airflow.owner(entry.id) in (None, task.name)
        ]
        paid = [entry for entry in own if entry.paid_at is not None]
        payable = [entry for entry in own if self.videodb.payable(entry)]
        self.resolve(task, (paid or payable)[-1].id if paid or payable else BUY)
        task.asks, task.resolved = False, True
        self.clear(task)

    def knows(self, entry: Entry) -> bool:
        """Say whether the task that asked for a checkout has written down, or has said, that it is its own."""
        task = self.tasks[entry.made_by]
        record = self.airflow.record(task.name)
        return entry.id in task.reported or (
            record is not None and (entry.id in record.watched or entry.id in record.paid)
        )
