"""Runs a program one step at a time, and interrupts it at any of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBError, VideoDBRecordNotKeptError
from airflow_provider_videodb.holds.rules.steps import IsEarlier, IsOver, IsUnused, Put, Remove, WriteJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from random import Random

    from airflow_provider_videodb.holds.ledger import Ledger
    from tests.support.holds_search.timeline import Timeline

    Program = Generator[Any, Any, None]

#: How long Airflow waits for a heartbeat before it starts another try, in seconds.
HEARTBEAT_TIMEOUT = 300.0
#: How long a worker may be frozen, in seconds.
_FREEZES = (10.0, 60.0, 400.0, 1500.0, 3600.0, 7200.0)
#: How much later a request may take effect that its sender has given up, in seconds.
_LATEST = 30.0
_CHANGES = (Put, Remove, WriteJournal)
_NEVER_RAISE = (IsOver, IsEarlier, IsUnused)


class StoppedError(BaseException):
    """A worker was told to stop."""


@dataclass(frozen=True, slots=True)
class Act:
    """A call to Airflow that is not a step of the protocol."""

    do: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Sleep for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitChange:
    """Sleep until the first poll after something has changed since ``version``."""

    version: int


class Fault(Enum):
    """What may happen to a process at a step."""

    KILLED = auto()
    FROZEN = auto()
    STOPPED = auto()
    ERROR = auto()


_FAULTS = tuple(Fault)


class Process:
    """
    A worker that runs one try of a task.

    :param is_current: whether Airflow still takes it for the newest try.
    :param lost: called with the seconds after which Airflow notices that this try is lost.
    :param fault_rate: how often a step meets a fault.
    """

    def __init__(
        self,
        timeline: Timeline,
        program: Program,
        ledger: Ledger,
        *,
        is_current: Callable[[], bool],
        lost: Callable[[float], None],
        fault_rate: float,
        latency: float,
    ) -> None:
        self._timeline, self._program, self._ledger = timeline, program, ledger
        self._random: Random = timeline.random
        self._is_current, self._lost = is_current, lost
        self._fault_rate, self._latency = fault_rate, latency
        self._is_dead = False
        self._has_begun = False
        timeline.after(0, self._send)

    def kill(self) -> None:
        """End it, as the supervisor does that learns that its try is over."""
        self._is_dead = True
        self._program.close()

    def _send(self, value: Any = None) -> None:
        self._advance(lambda: self._program.send(value))

    def _throw(self, error: BaseException) -> None:
        self._advance(lambda: self._program.throw(error))

    def _advance(self, go_on: Callable[[], Any]) -> None:
        if self._is_dead:
            return
        try:
            action = go_on()
        except StopIteration:
            self._is_dead = True
        except (VideoDBError, StoppedError):
            self._is_dead = True
            self._lost(self._random.choice((1.0, 60.0, 300.0)))
        else:
            self._meet(action)

    def _meet(self, action: Any) -> None:
        if isinstance(action, Pause):
            self._timeline.after(action.seconds, self._wake)
        elif isinstance(action, AwaitChange):
            self._timeline.after_change(action.version, self._wake)
        elif self._random.random() < self._rate():
            self._fail(self._random.choice(_FAULTS), action)
        else:
            self._perform(action)

    def _rate(self) -> float:
        # What stands still before its first step acts on an account that it has never seen.
        begins, self._has_begun = not self._has_begun, True
        return self._fault_rate * 3 if begins else self._fault_rate

    def _wake(self) -> None:
        if self._is_current():
            self._send()
        else:
            self.kill()

    def _perform(self, action: Any) -> None:
        def happen() -> None:
            if not self._is_dead:
                result = self._do(action)
                self._timeline.after(self._random.random() * self._latency, lambda: self._send(result))

        self._timeline.after(self._random.random() * self._latency, happen)

    def _do(self, action: Any) -> Any:
        return action.do() if isinstance(action, Act) else self._ledger.do(action)

    def _fail(self, fault: Fault, action: Any) -> None:
        has_effect = self._random.random() < 0.5
        if fault is Fault.FROZEN:
            self._freeze(action, is_before=has_effect)
        elif fault is Fault.KILLED:
            self._leave_behind(action, has_effect=has_effect)
            self.kill()
            self._lost(self._random.choice((5.0, HEARTBEAT_TIMEOUT)))
        elif fault is Fault.STOPPED:
            self._leave_behind(action, has_effect=has_effect)
            self._timeline.after(self._latency, lambda: self._throw(StoppedError()))
        elif isinstance(action, _NEVER_RAISE):
            self._timeline.after(self._latency, lambda: self._send(False))
        else:
            self._leave_behind(action, has_effect=has_effect)
            error = VideoDBRecordNotKeptError("Airflow did not confirm it.")
            self._timeline.after(self._latency, lambda: self._throw(error))

    def _freeze(self, action: Any, *, is_before: bool) -> None:
        """Stand still before or after a call. After a while, Airflow starts another try, and this one goes on later."""
        is_frozen = True

        def thaw() -> None:
            nonlocal is_frozen
            if not is_frozen:
                return
            is_frozen = False
            if is_before:
                self._perform(action)
            else:
                self._send(result)

        result = None if is_before else self._do(action)
        self._timeline.after(HEARTBEAT_TIMEOUT, lambda: self._lost(0.0) if is_frozen and not self._is_dead else None)
        longest = self._random.choice(_FREEZES) * (0.5 + self._random.random())
        self._timeline.after(longest, thaw)
        if self._random.random() < 0.5:
            # A moment just after something has happened is the worst one to go on at.
            self._timeline.after_events(self._random.randint(1, 4), thaw, within=self._random.choice((1.0, 30.0)))

    def _leave_behind(self, action: Any, *, has_effect: bool) -> None:
        """Let a call take effect though its sender does not learn it: at once, or a while later."""
        if has_effect and isinstance(action, (*_CHANGES, Act)):
            late = self._random.choice((0.0, self._random.random() * _LATEST))
            self._timeline.after(late, lambda: self._do(action))
