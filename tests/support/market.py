"""
What surrounds a purchase, in virtual time: VideoDB, its website, Airflow's worker processes, the people who pay.

The purchase itself is the real one: each try of a task runs the real ``Buyer`` in a thread that stops before every
step it takes outside itself, so that whoever drives the market decides what happens there and who goes next.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_videodb.answers import BUY
from airflow_provider_videodb.buyer import Buyer
from airflow_provider_videodb.exceptions import (
    PERMANENT_ERRORS,
    VideoDBError,
    VideoDBLimitExceededError,
    VideoDBOutcomeUnknownError,
    VideoDBPurchaseUnknownError,
    VideoDBRefusedError,
    VideoDBServerError,
)
from airflow_provider_videodb.limits import SpendLimits
from airflow_provider_videodb.models import Checkout, CheckoutStatus, IdSource, by_id
from airflow_provider_videodb.payment import PaymentWatch
from airflow_provider_videodb.purchase import SETTLING_TIME
from airflow_provider_videodb.record import Purchase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

WEBSITE = "website"
#: What an unpaid checkout lives.
LIFETIME = timedelta(hours=24)
#: How long a client waits for the answer of a POST.
TIMEOUT = timedelta(seconds=30)
#: How long a request whose sender is gone may still be on its way.
ON_ITS_WAY = SETTLING_TIME / 2


class Card(StrEnum):
    """What VideoDB does with a stored card."""

    NONE = "there is none"
    AT_ONCE = "charged at once"
    SOMETIMES = "charged at once, or refused by the bank"
    LATE = "charged at some time later"


class Happening(StrEnum):
    """What becomes of one step of a process."""

    NOTHING = "it works"
    PAUSE = "others go first"
    DIES_BEFORE = "the process dies before it"
    DIES_AFTER = "the process dies after it"
    LOST = "the answer is lost, nothing was done"
    LOST_AFTER = "the answer is lost, all was done"
    LOST_ON_ITS_WAY = "the answer is lost, it will be done"
    DIES_ON_ITS_WAY = "the process dies, it will be done"
    REFUSED = "VideoDB refuses"


class Step(StrEnum):
    """Where a process touches the world."""

    LIST = "list"
    POST = "post"
    ANSWER = "answer"
    SAVE = "save"
    CLAIM_READ = "claim, read"
    CLAIM_WRITE = "claim, write"
    SLEEP = "sleep"
    HAND_OUT = "hand out"
    REPORT = "report"


class Died(BaseException):
    """The end of a process, which none of its code sees."""


class TaskState(StrEnum):
    """Airflow's view of a task instance."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"
    PAID = "paid"


@dataclass
class Entry:
    """A checkout as VideoDB knows it."""

    id: str
    amount: int
    made_by: str
    made_at: datetime
    listed_from: datetime
    paid_at: datetime | None = None
    #: A task has this id in its journal because an answer named it.
    answered: bool = False

    @property
    def url(self) -> str:
        return f"https://pay.example/{self.id}"

    def status(self, now: datetime) -> CheckoutStatus:
        if self.paid_at is not None:
            return CheckoutStatus.COMPLETED
        return CheckoutStatus.EXPIRED if now >= self.made_at + LIFETIME else CheckoutStatus.PENDING

    def listed(self, now: datetime) -> Checkout:
        return Checkout(
            id=self.id,
            url=None,
            amount=Decimal(self.amount),
            currency="usd",
            status=self.status(now),
            created_at=self.made_at.replace(microsecond=0),
            id_source=IdSource.LIST,
        )


@dataclass
class Request:
    """A POST that is still on its way."""

    amount: int
    key: str
    made_by: str
    arrives: datetime


class Process:
    """A worker process that runs one piece of work and stops before each of its steps."""

    def __init__(self, work: Callable[[Process], T]) -> None:
        self.at: Step | None = None
        self.since: datetime | None = None
        self.wakes: datetime | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = work
        self._happening = Happening.NOTHING
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()
        self._stopped.acquire()

    @property
    def ended(self) -> bool:
        return self.at is None

    def resume(self, happening: Happening = Happening.NOTHING) -> None:
        """Let the step at which the process stands happen, and the process go on to the next."""
        self._happening = happening
        self._go.release()
        self._stopped.acquire()

    def kill(self) -> None:
        while not self.ended:
            self.resume(Happening.DIES_BEFORE)

    def stop_before(self, step: Step, now: datetime, *, wakes: datetime | None = None) -> Happening:
        """Called by the work: wait for the word to go on."""
        self.at, self.since, self.wakes = step, now, wakes
        self._stopped.release()
        self._go.acquire()
        if self._happening is Happening.DIES_BEFORE:
            raise Died
        return self._happening

    def _run(self) -> None:
        try:
            self.result = self._work(self)
        except BaseException as err:  # noqa: BLE001 - a process keeps what ended it
            self.error = err
        self.at = None
        self._stopped.release()


@dataclass
class Task:
    """A task instance that buys: what outlives its processes."""

    name: str
    amount: int
    state: TaskState = TaskState.READY
    journal: str | None = None
    answer: str | None = None
    #: Ids of the checkouts whose links a person has seen.
    links: list[str] = field(default_factory=list)
    reported: tuple[str, ...] = ()
    error: VideoDBError | None = None
    process: Process | None = None
    watch: PaymentWatch | None = None
    #: How far the clock of its present worker is ahead of VideoDB's.
    clock_ahead: timedelta = timedelta(0)
    last_look: frozenset[str] = frozenset()
    #: What its present process, or the trigger before it, has seen to be paid.
    seen_paid: frozenset[str] = frozenset()
    #: What the list showed that its first purchase began with.
    there_before: frozenset[str] | None = None
    #: It ended with "cannot be told", and nobody has answered since.
    asks: bool = False
    #: Somebody has answered, and with that written off what else the task may have made.
    answered: bool = False

    @property
    def purchase(self) -> Purchase | None:
        return None if self.journal is None else Purchase.from_dict(json.loads(self.journal))


class Market:
    """
    VideoDB with one account, the tasks of ours that buy on it, and the time.

    :param names_ids: whether the answer of a POST names the checkout, or is a link alone.
    :param keeps_records: whether Airflow keeps the record of a settled purchase, as its task state store does.
    """

    def __init__(
        self,
        *,
        card: Card,
        honours_key: bool,
        names_ids: bool,
        keeps_records: bool,
        monthly_limit: int | None,
        tasks: Iterable[Task],
    ) -> None:
        self.card = card
        self.honours_key = honours_key
        self.names_ids = names_ids
        self.keeps_records = keeps_records
        self.monthly_limit = monthly_limit
        self.tasks = {task.name: task for task in tasks}
        # Two minutes before a new month, so that limits meet one.
        self.now = self.opened = datetime(2026, 1, 31, 23, 58, 0, 250_000, UTC)
        self.entries: dict[str, Entry] = {}
        self.requests: list[Request] = []
        self.claims: dict[str, str] = {}
        #: How long the next checkout takes to show, and whether the bank lets its card be charged.
        self.lag = timedelta(0)
        self.bank_agrees = True
        self._by_key: dict[str, Entry] = {}

    # What VideoDB does

    def view(self) -> list[Checkout]:
        """Return the list as VideoDB shows it now, newest first."""
        return [entry.listed(self.now) for entry in reversed(self.entries.values()) if entry.listed_from <= self.now]

    def make(self, amount: int, made_by: str, key: str | None = None) -> Entry:
        if self.honours_key and key in self._by_key:
            return self._by_key[key]
        number = len(self.entries)
        # Ids are in no order: nothing may be read from them.
        entry = Entry(f"cs_{number * 37 % 101:03d}", amount, made_by, self.now, self.now + self.lag)
        self.entries[entry.id] = entry
        if key is not None:
            self._by_key[key] = entry
            if self.card is Card.AT_ONCE or (self.card is Card.SOMETIMES and self.bank_agrees):
                self.pay(entry)
        return entry

    def pay(self, entry: Entry) -> None:
        assert self.payable(entry)
        entry.paid_at = self.now

    def payable(self, entry: Entry) -> bool:
        return entry.status(self.now) is CheckoutStatus.PENDING

    # The time

    def advance(self, passing: timedelta) -> None:
        """Let time pass, and let happen what then happens by itself."""
        self._finish_what_takes_no_time()
        until = self.now + passing
        while self.requests and min(request.arrives for request in self.requests) <= until:
            request = min(self.requests, key=lambda waiting: waiting.arrives)
            self.requests.remove(request)
            self.now = max(self.now, request.arrives)
            lag, self.lag = self.lag, min(self.lag, ON_ITS_WAY - timedelta(milliseconds=100))
            self.make(request.amount, request.made_by, request.key)
            self.lag = lag
        self.now = until
        for task in self.running:
            process = task.process
            assert process is not None
            if process.at in (Step.POST, Step.ANSWER) and self.now - process.since >= TIMEOUT:
                self.step(task, Happening.LOST)

    def _finish_what_takes_no_time(self) -> None:
        """Reading a Variable and writing it are moments apart, not seconds."""
        for task in self.running:
            while task.process is not None and task.process.at is Step.CLAIM_WRITE:
                self.step(task)

    # The tasks

    @property
    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.process is not None]

    def buyer(self, task: Task, process: Process) -> Buyer:
        return Buyer(
            shop=_Shop(self, task, process),
            journal=_Journal(self, task, process),  # type: ignore[arg-type]
            claims=_Claims(self, process),
            limits=SpendLimits(monthly_topup_limit=None if self.monthly_limit is None else Decimal(self.monthly_limit)),
            identity=(task.name,),
            since=self.opened,
            clock=_Clock(self, task, process),  # type: ignore[arg-type]
        )

    def begin_try(self, task: Task, clock_ahead: timedelta) -> None:
        """Start what ``TopupOperator.execute`` does."""
        task.clock_ahead, task.seen_paid = clock_ahead, frozenset()

        def work(process: Process) -> Purchase:
            purchase = self.buyer(task, process).obtain_checkout(
                task.amount, currency=None, redirect_url=None, balance=None
            )
            return self._end_of(task, process, purchase)

        self._start(task, work)

    def look(self, task: Task) -> None:
        """Let a waiting task's trigger poll, and start what follows from it."""
        assert task.watch is not None
        checkouts = self.view()
        task.seen_paid = _paid_in(checkouts)
        try:
            seen = task.watch.paid(by_id(checkouts), now=self.now)
        except VideoDBError as err:
            self._failed(task, err)
            return
        if seen is None:
            left = [] if task.answered else [paid.id for paid in self._paid_by(task) if paid.listed_from <= self.now]
            assert not left, f"{task.name} waits on although {left} of its own is paid"
            return

        def work(process: Process) -> Purchase:
            return self._end_of(task, process, self.buyer(task, process).settle(seen))

        self._start(task, work)

    def step(self, task: Task, happening: Happening = Happening.NOTHING) -> None:
        """Let a task's process take one step."""
        process = task.process
        assert process is not None
        if process.at is Step.SLEEP and process.wakes is not None and process.wakes > self.now:
            # The time of a sleep passes for everybody.
            self.advance(process.wakes - self.now)
        if task.process is not process:
            return
        process.resume(happening)
        if process.ended:
            task.process = None
            self._ended(task, process)

    def run(self, task: Task) -> None:
        """Let a task's process go on until it ends."""
        while task.process is not None:
            self.step(task)

    def kill(self, task: Task) -> None:
        if task.process is not None:
            self.step(task, Happening.DIES_ON_ITS_WAY if task.process.at is Step.POST else Happening.DIES_BEFORE)

    def answer_truthfully(self, task: Task) -> None:
        """Let a person look into the console and say which checkout was this task's."""
        self.advance(2 * ON_ITS_WAY)
        own = [
            entry
            for entry in self.entries.values()
            if entry.made_by == task.name and self.claims.get(entry.id, task.name) == task.name
        ]
        paid = [entry for entry in own if entry.paid_at is not None]
        payable = [entry for entry in own if self.payable(entry)]
        task.answer = (paid or payable)[-1].id if paid or payable else BUY
        task.asks, task.answered = False, True
        task.state = TaskState.READY

    def bring_to_rest(self) -> None:
        """Let nothing go wrong any more, everybody pay and answer, and see that every task ends."""
        self.lag = timedelta(0)
        for _ in range(10):
            for task in self.tasks.values():
                self.advance(timedelta(seconds=3))
                if task.state is TaskState.READY:
                    self.begin_try(task, timedelta(0))
                self.run(task)
                if task.state is TaskState.WAITING:
                    for link in task.links:
                        if self.payable(self.entries[link]):
                            self.pay(self.entries[link])
                    self.look(task)
                    self.run(task)
                if task.state is TaskState.STOPPED and (task.asks or task.answer):
                    self.answer_truthfully(task)
                self.check()
        restless = [
            f"{task.name}: {task.state}, {task.error}"
            for task in self.tasks.values()
            if task.state is not TaskState.PAID
            and not isinstance(task.error, VideoDBLimitExceededError)
            and not self._is_taken_from(task)
        ]
        assert not restless, restless

    def _is_taken_from(self, task: Task) -> bool:
        """Say whether another task has taken what an answer named as this task's: only a new DAG run goes on."""
        link = None if task.purchase is None else task.purchase.payment_url
        return any(
            entry.url == link and self.claims.get(entry.id, task.name) != task.name for entry in self.entries.values()
        )

    def _start(self, task: Task, work: Callable[[Process], Purchase]) -> None:
        task.state = TaskState.RUNNING
        task.process = process = Process(work)
        if process.ended:
            task.process = None
            self._ended(task, process)

    def _end_of(self, task: Task, process: Process, purchase: Purchase) -> Purchase:
        def report() -> None:
            if task.reported:
                return
            task.reported = purchase.paid
            unsaid = {entry.id for entry in self._paid_by(task)} & task.seen_paid - set(purchase.paid)
            assert task.answered or not unsaid, f"{task.name} has paid {unsaid} as well and does not say so"
            for paid in (self.entries[checkout_id] for checkout_id in purchase.paid):
                assert paid.id not in (task.there_before or ()), (
                    f"{task.name} takes {paid.id} for its own, which it has seen before it asked for anything"
                )

        def hand_out() -> None:
            assert purchase.payment_url is not None
            entry = next(entry for entry in self.entries.values() if entry.url == purchase.payment_url)
            if entry.id not in task.links:
                task.links.append(entry.id)

        if purchase.paid:
            _does(self, process, Step.REPORT, report)
        else:
            _does(self, process, Step.HAND_OUT, hand_out)
        return purchase

    def _ended(self, task: Task, process: Process) -> None:
        if process.error is not None:
            self._failed(task, process.error)
        elif process.result.paid:
            task.state = TaskState.PAID
        else:
            task.state = TaskState.WAITING
            task.watch = PaymentWatch(process.result)

    def _failed(self, task: Task, err: BaseException) -> None:
        if not isinstance(err, VideoDBError | Died):
            raise err
        task.error = err if isinstance(err, VideoDBError) else None
        task.state = TaskState.STOPPED if isinstance(err, PERMANENT_ERRORS) else TaskState.READY
        # A person whose answer cannot be followed has acted all the same.
        task.asks = task.answer is None and (task.asks or isinstance(err, VideoDBPurchaseUnknownError))

    # What must hold

    def check(self) -> None:
        """Check what must hold at every moment."""
        for task in self.tasks.values():
            payable = [link for link in task.links if self.payable(self.entries[link])]
            assert len(payable) <= 1, f"{task.name} has handed out {payable}, which can all be paid"
            self._check_paid_once(task)
            assert all(self.entries[paid].paid_at for paid in task.reported), f"{task.name} reports what is unpaid"
        reports = [task.reported[0] for task in self.tasks.values() if task.reported]
        assert len(reports) == len(set(reports)), "two tasks report the same checkout as their own"
        if self.monthly_limit is not None and self.card is Card.NONE:
            self._check_limit(self.monthly_limit)

    def _check_paid_once(self, task: Task) -> None:
        mine = self._paid_by(task)
        if self.card is Card.LATE:
            # The one exception: an unpaid checkout, its answer lost, whose card is charged after all.
            mine = [entry for entry in mine if entry.answered]
        assert len(mine) <= 1, f"{task.name} has paid {[entry.id for entry in mine]}"

    def _paid_by(self, task: Task) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.paid_at and self._is_of(entry, task)]

    def _is_of(self, entry: Entry, task: Task) -> bool:
        """Say whether a checkout of ours counts as this task's: another task may have taken it for its own."""
        if entry.made_by == WEBSITE:
            return False
        owners = {name for name, other in self.tasks.items() if entry.id in other.reported[:1]}
        owners |= {self.claims[entry.id]} if entry.id in self.claims else set()
        return task.name in (owners or {entry.made_by})

    def _check_limit(self, limit: int) -> None:
        by_month: dict[tuple[int, int], int] = {}
        for task in self.tasks.values():
            for entry in (self.entries[link] for link in task.links):
                if entry.status(self.now) is not CheckoutStatus.EXPIRED:
                    month = (entry.made_at.year, entry.made_at.month)
                    by_month[month] = by_month.get(month, 0) + entry.amount
        assert all(spent <= limit for spent in by_month.values()), f"{by_month} is over the limit of {limit}"


def _does(market: Market, process: Process, step: Step, effect: Callable[[], T]) -> T:
    happening = process.stop_before(step, market.now)
    result = effect()
    if happening in (Happening.DIES_AFTER, Happening.DIES_ON_ITS_WAY):
        raise Died
    return result


def _paid_in(checkouts: list[Checkout]) -> frozenset[str]:
    return frozenset(str(checkout.id) for checkout in checkouts if checkout.status == CheckoutStatus.COMPLETED)


class _Clock:
    def __init__(self, market: Market, task: Task, process: Process) -> None:
        self._market, self._task, self._process = market, task, process

    def now(self) -> datetime:
        return self._market.now + self._task.clock_ahead

    def sleep(self, seconds: float) -> None:
        self._process.stop_before(Step.SLEEP, self._market.now, wakes=self._market.now + timedelta(seconds=seconds))


class _Shop:
    def __init__(self, market: Market, task: Task, process: Process) -> None:
        self._market, self._task, self._process = market, task, process

    def list_checkouts(self) -> list[Checkout]:
        happening = self._process.stop_before(Step.LIST, self._market.now)
        if happening in (Happening.LOST, Happening.LOST_AFTER, Happening.LOST_ON_ITS_WAY):
            raise VideoDBServerError("503")
        seen = self._market.view()
        self._task.last_look = frozenset(str(checkout.id) for checkout in seen)
        self._task.seen_paid = _paid_in(seen)
        return seen

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Checkout:
        assert idempotency_key is not None
        market, task = self._market, self._task
        assert not task.asks, f"{task.name} asked a person, and buys without the answer"
        if task.there_before is None:
            task.there_before = task.last_look
        happening = self._process.stop_before(Step.POST, market.now)
        if happening is Happening.REFUSED:
            raise VideoDBRefusedError("400")
        if happening is Happening.LOST:
            raise VideoDBOutcomeUnknownError("timeout")
        if happening in (Happening.LOST_ON_ITS_WAY, Happening.DIES_ON_ITS_WAY):
            market.requests.append(Request(amount, idempotency_key, task.name, market.now + ON_ITS_WAY))
            raise Died if happening is Happening.DIES_ON_ITS_WAY else VideoDBOutcomeUnknownError("timeout")
        entry = market.make(amount, task.name, idempotency_key)
        if happening is Happening.DIES_AFTER:
            raise Died
        if happening is not Happening.LOST_AFTER:
            happening = self._process.stop_before(Step.ANSWER, market.now)
        if happening in (Happening.LOST, Happening.LOST_AFTER, Happening.LOST_ON_ITS_WAY):
            raise VideoDBOutcomeUnknownError("timeout")
        if happening is not Happening.NOTHING:
            raise Died
        return Checkout(
            id=entry.id if market.names_ids else None,
            url=entry.url,
            amount=Decimal(amount),
            currency=currency,
            status=CheckoutStatus.PENDING,
            created_at=None,
            id_source=IdSource.ANSWER if market.names_ids else None,
        )


class _Journal:
    durable = True
    forgets_what_is_over = False

    def __init__(self, market: Market, task: Task, process: Process) -> None:
        self._market, self._task, self._process = market, task, process

    def load(self) -> Purchase | None:
        return self._task.purchase

    def save(self, purchase: Purchase) -> None:
        def write() -> None:
            kept = self._market.keeps_records or not purchase.paid
            self._task.journal = json.dumps(purchase.to_dict()) if kept else None
            for entry in self._market.entries.values():
                if purchase.payment_url == entry.url:
                    entry.answered = True

        _does(self._market, self._process, Step.SAVE, write)

    def answer(self, purchase: Purchase) -> str | None:
        return self._task.answer

    def forget_answer(self, purchase: Purchase) -> None:
        def forget() -> None:
            self._task.answer = None

        _does(self._market, self._process, Step.SAVE, forget)


class _Claims:
    """Variables, which know no compare-and-set, with the protocol of ``VariableClaims``."""

    def __init__(self, market: Market, process: Process) -> None:
        self._market, self._process = market, process

    def owner(self, checkout_id: str) -> str | None:
        return _does(self._market, self._process, Step.CLAIM_READ, lambda: self._market.claims.get(checkout_id))

    def claim(self, checkout_id: str, owner: str) -> bool:
        claimed_by = self.owner(checkout_id)
        if claimed_by is None:
            _does(
                self._market,
                self._process,
                Step.CLAIM_WRITE,
                lambda: self._market.claims.__setitem__(checkout_id, owner),
            )
        return claimed_by in (None, owner)

    def take(self, checkout_id: str, owner: str) -> bool:
        if not self.claim(checkout_id, owner):
            return False
        self._process.stop_before(Step.SLEEP, self._market.now, wakes=self._market.now + timedelta(seconds=2))
        return self.owner(checkout_id) == owner
