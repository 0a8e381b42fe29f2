"""What all waits of this package share: their time, their failures, and that whatever ends them reaches the task."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBRateLimitError,
    is_permanent,
)
from airflow_provider_videodb.hooks.arguments import parse_count
from airflow_provider_videodb.triggers._accounts import read_in_triggerer, read_in_worker
from airflow_provider_videodb.triggers._pauses import Pause
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers._shared_poll import Question, verdict
from airflow_provider_videodb.triggers.events import EventStatus, error_event, sendable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_videodb.api.client import BillingClient

#: Failed polls in a row that end a wait, unless the task says otherwise.
MAX_CONSECUTIVE_FAILURES = 5


@dataclass(slots=True)
class Watch:
    """
    What one wait makes of one poll.

    :param look: asks VideoDB; the same function for all who are to share the poll.
    :param judge: returns the event that ends the wait, ``None`` while it goes on; raises what fails it.
    :param begin: makes ready, and again when the connection names another account, of which nothing is known yet.
    :param failures: how many looks have failed in a row.
    :param account: the number of the account that was looked at.
    """

    look: Callable[[BillingClient], Any]
    judge: Callable[[Any], dict[str, Any] | None]
    begin: Callable[[], None]
    failures: int = 0
    account: int | None = None


class BillingTrigger(BaseTrigger):
    """
    Polls one account and fires once, when what the task waits for is there or can no longer come.

    Whatever goes wrong is an event too, which raises the error in the task: a trigger that fails would end as a skip
    under ``soft_fail``. For the same reason arguments are read in :meth:`begin`; besides, an exception of
    ``__init__`` would end the whole triggerer, and so would an event that cannot be encoded.

    The time: a deadline outlives restarts, so it is a date. Within one process the wait ends by the process's own
    clock, which nobody sets: a date that jumps forward ends no wait, and one that jumps back prolongs none. A process
    that starts reckons the rest from the date, and allows no more than was asked for in the first place.

    :param videodb_conn_id: the connection; the API key stays in it.
    :param poll_interval: seconds between polls.
    :param deadline: when the wait is over, in seconds since 1970, so that a restart of the triggerer does not
        prolong it. It is looked at once per interval.
    :param timeout: seconds that the wait may take, from when the trigger begins where there is no ``deadline``; left
        out, they are reckoned from it when the trigger is first made.
    :param max_consecutive_failures: failed polls in a row that end the wait; where there are two polls, each of them
        has to fail as often.
    :param pause: how long VideoDB asked to wait, in its JSON form.
    """

    def __init__(
        self,
        *,
        videodb_conn_id: str,
        poll_interval: float,
        deadline: float | None = None,
        timeout: float | None = None,
        max_consecutive_failures: int = MAX_CONSECUTIVE_FAILURES,
        pause: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not annotated
        self.videodb_conn_id = videodb_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.timeout = _asked_for(deadline) if timeout is None else timeout
        self.max_consecutive_failures = max_consecutive_failures
        self.pause = pause
        self._watches: Sequence[Watch] = ()
        self._allowed_failures = 0
        self._began = self._ends = 0.0
        self._began_at = datetime.fromtimestamp(0, UTC)
        self._unrendered: Exception | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "videodb_conn_id": self.videodb_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "timeout": self.timeout,
                "max_consecutive_failures": self.max_consecutive_failures,
                "pause": self.pause,
            },
        )

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render as Airflow does; what cannot be rendered is an error of the task, not of the trigger."""
        try:
            super().render_template_fields(context, jinja_env)
        except Exception as err:  # noqa: BLE001 - see the class: whatever it is, the task is told
            self._unrendered = err

    @property
    def question(self) -> Question:
        """What is polled for this wait: everybody who asks the same account the same as often shares the poll."""
        return self._question(self.watches()[0].look)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends this wait."""
        try:
            self.begin()
            event = await verdict(
                *((self._question(watch.look), partial(self.weigh, watch)) for watch in self._watches),
                pause=None if self.pause is None else Pause.from_dict(self.pause),
            )
        except Exception as err:  # noqa: BLE001 - see the class: whatever it is, the task is told
            event = error_event(err)
        yield self.end_with(sendable(event))

    def weigh(self, watch: Watch, snapshot: PollResult) -> dict[str, Any] | None:
        """Return the event that ends the wait, if this tick of the poll does."""
        event = self._judged(watch, snapshot)
        # The first watch keeps the time, so that its last look still counts.
        if event is None and watch is self._watches[0] and time.monotonic() >= self._ends:
            return {"status": EventStatus.TIMEOUT, **self.result()}
        return event

    def begin(self) -> None:
        """Read the arguments once, when waiting begins and templates are rendered; raise what is wrong with them."""
        if self._unrendered is not None:
            raise self._unrendered
        self._allowed_failures = parse_count("max_consecutive_failures", self.max_consecutive_failures)
        _check_seconds("poll_interval", self.poll_interval)
        for name in ("deadline", "timeout"):
            if getattr(self, name) is not None:
                _check_seconds(name, getattr(self, name))
        now, self._began = time.time(), time.monotonic()
        self._began_at = datetime.fromtimestamp(now, UTC)
        self._ends = self._began + seconds_left(self.deadline, self.timeout, now=now)
        self._watches = self.watches()
        for watch in self._watches:
            watch.begin()

    @abstractmethod
    def watches(self) -> Sequence[Watch]:
        """Return what is polled and judged for this wait."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Return what the event of a timeout tells the task."""

    def end_with(self, event: dict[str, Any]) -> TriggerEvent:
        """Return the event for Airflow."""
        return TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's class is not annotated

    def now(self) -> datetime:
        """Return the time, by the clock of the process since the wait began."""
        return self._began_at + timedelta(seconds=time.monotonic() - self._began)

    def deadline_now(self) -> float | None:
        """Return the deadline as a date of the clock as it is set now, for whoever goes on waiting."""
        return None if math.isinf(self._ends) else time.time() + self._ends - time.monotonic()

    def _question(self, look: Callable[[BillingClient], Any]) -> Question:
        # Airflow gives an id to what its triggerer runs.
        read = read_in_worker if self.trigger_id is None else read_in_triggerer
        return Question(look, self.videodb_conn_id, self.poll_interval, read)

    def _judged(self, watch: Watch, snapshot: PollResult) -> dict[str, Any] | None:
        if snapshot is NO_RESULT:
            return None
        if snapshot.account is not None and snapshot.account != watch.account:
            if watch.account is not None:
                watch.failures = 0
                watch.begin()
            watch.account = snapshot.account
        if snapshot.error is None:
            watch.failures = 0
            return watch.judge(snapshot.seen)
        # Being asked to slow down is no failure: the poll waits as asked.
        watch.failures += not isinstance(snapshot.error, VideoDBRateLimitError)
        if is_permanent(snapshot.error) or all(other.failures >= self._allowed_failures for other in self._watches):
            # Not raised: all waiters have the same exception in hand, and each would add to its traceback.
            return error_event(snapshot.error)
        return None


def seconds_left(deadline: float | None, timeout: float | None, *, now: float) -> float:
    """
    Return how long a wait may still take when a process begins or takes over to wait. Pure.

    A clock that was set back does not prolong it beyond the ``timeout`` that was asked for.
    """
    longest = math.inf if timeout is None else timeout
    return longest if deadline is None else min(deadline - now, longest)


def _asked_for(deadline: object) -> float | None:
    # In a constructor nothing is refused: what is wrong with the deadline is said when the wait begins.
    return max(0.0, deadline - time.time()) if isinstance(deadline, int | float) else None


def _check_seconds(name: str, value: object) -> None:
    # A NaN would break the timers of the event loop, which all triggers share.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise VideoDBConfigError(
            f"{name} is {str(value)[:200]!r}; it must be a number of seconds, zero or more. Correct the task."
        )
