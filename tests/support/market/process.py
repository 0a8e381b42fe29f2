"""A worker process in virtual time: it can be stopped after whatever it does outside itself."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from greenlet import greenlet

from airflow_provider_videodb.purchases.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID


class Step(StrEnum):
    """What a process has just done."""

    LOADED = "the record was read"
    SAVED = "the record was written"
    CLAIM_READ = "a claim was read"
    CLAIMED = "a claim was written"
    OTHER_VARIABLE = "something else that Airflow keeps was read, written or listed"
    ASKED_STATE = "Airflow has said in which state the task is"
    ASKED_NEWEST = "Airflow has said whether this try is the newest"
    LISTED = "VideoDB has shown its list"
    ASSESSED = "VideoDB has told the balance"
    CONNECTED = "a POST can be written"
    SENT = "a POST is on its way"
    CARRIED_OUT = "a POST was carried out, its response is on its way"
    LINK_SHARED = "a person can see the link"
    SLEEPS = "some time is to pass"


class Died(BaseException):
    """The end of a process, which none of its code sees."""


class BrokenPromiseError(BaseException):
    """What must not happen is about to; none of the code that runs in a process may catch it."""


class Time:
    """The true time, and the order in which things happen within one moment of it."""

    def __init__(self) -> None:
        # Two minutes before a new month, so that limits meet one.
        self.opened = self.now = datetime(2026, 1, 31, 23, 58, 0, 250_000, UTC)
        self._ticks = 0

    def tick(self) -> int:
        """Return a number that is higher at each call."""
        self._ticks += 1
        return self._ticks


class Process(greenlet):
    """A worker process that runs one piece of work of one try."""

    def __init__(
        self,
        work: Callable[[Process], Any],
        *,
        time: Time,
        task: str,
        ti_id: UUID,
        try_number: int,
    ) -> None:
        super().__init__()
        self.task, self.ti_id, self.try_number = task, ti_id, try_number
        #: How far its wall clock is ahead of the true time, and whether it ever was by more than clocks may differ.
        self.wall_ahead = timedelta(0)
        self.clock_was_wrong = False
        self.at: Step | None = None
        self.since = time.now
        self.wakes: datetime | None = None
        self.result: Any = None
        self.error: BaseException | None = None
        #: When the worker was told to stop.
        self.told: int | None = None
        #: When it asks Airflow whether it is to go on, and when it last did and was told yes.
        self.asking, self.asking_at, self.is_to_run = 0, time.now, False
        self.asked: int | None = None
        self.asked_at = time.now
        #: When it read the record that it is about to write.
        self.about_to_save_since: datetime | None = None
        #: When it read the record last, and whether there was one.
        self.read_record, self.read_record_at = 0, time.now
        self.has_record = False
        #: What was missing when it last read the balance, and how long it has slept since.
        self.missing: int | None = None
        self.slept = 0.0
        #: Airflow has had trouble while it ran.
        self.troubled = False
        self.last_list: frozenset[str] = frozenset()
        self.seen_paid: frozenset[str] = frozenset()
        self._work = work
        self._time = time
        self._until: Step | None = None
        self._left = 0
        #: For how long the whole machine was asleep, which a monotonic clock does not count.
        self._suspended = timedelta(0)
        self._suspended_since: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will happen any more."""
        return bool(self.dead)

    def run(self) -> None:
        """Do the work; called by the first switch."""
        try:
            self.result = self._work(self)
        except BaseException as err:  # noqa: BLE001 - a process keeps what ended it
            self.error = err

    def go(self, until: Step | None = None, nth: int = 1) -> None:
        """Let it go on until its nth step of a kind, a sleep, or its end."""
        if self._suspended_since is not None:
            self._suspended += self._time.now - self._suspended_since
            self._suspended_since = None
        self._until, self._left = until, nth
        self.switch()
        if isinstance(self.error, BrokenPromiseError):
            raise AssertionError(str(self.error))

    def stands_at(self, step: Step | None) -> bool:
        """Say whether it was stopped where it was to be."""
        return step is not None and self.at is step and self._left == 0

    @property
    def left(self) -> int:
        """How many steps of the kind are left until it is to be stopped."""
        return self._left

    def dies(self) -> None:
        """End it at once."""
        if not self.ended:
            # One that has not begun to run cannot catch it.
            with suppress(Died):
                self.throw(Died)
            self.error = self.error or Died()

    def sleeps_with_its_machine(self) -> None:
        """Let its monotonic clock stand still until it goes on."""
        self._suspended_since = self._time.now

    def has(self, step: Step, *, wakes: datetime | None = None) -> None:
        """Note a step that was done, called by the work: stop there if it is to be stopped."""
        self.at, self.since, self.wakes = step, self._time.now, wakes
        if step not in (Step.LOADED, Step.OTHER_VARIABLE):
            self.about_to_save_since = None
        if step is self._until:
            self._left -= 1
        if wakes is not None or (step is self._until and self._left == 0):
            self.parent.switch()
            self.wakes = None

    def monotonic(self) -> float:
        """Return the seconds that its machine was awake."""
        return (self._time.now - self._time.opened - self._suspended).total_seconds()


class WorkerClock(Clock):
    """What a process takes for the time."""

    def __init__(self, time: Time, process: Process) -> None:
        self._time, self._process = time, process

    def now(self) -> datetime:
        """Return the time by the wall clock of the worker."""
        return self._time.now + self._process.wall_ahead

    def monotonic(self) -> float:
        """Return seconds that nobody can set back."""
        return self._process.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._process.slept += seconds
        self._process.has(Step.SLEEPS, wakes=self._time.now + timedelta(seconds=seconds))
