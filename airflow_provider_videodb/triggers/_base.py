"""The trigger that all waits of this package extend: deadline, failures, one event."""

from __future__ import annotations

import asyncio
import math
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Required, TypedDict

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.hooks.arguments import parse_count
from airflow_provider_videodb.triggers._accounts import read_in_triggerer, read_in_worker
from airflow_provider_videodb.triggers._failures import MAX_CONSECUTIVE_FAILURES, FailureBudget, is_final
from airflow_provider_videodb.triggers._pauses import Pause
from airflow_provider_videodb.triggers._poll import NO_RESULT, PollResult
from airflow_provider_videodb.triggers._poll_metrics import PollKind
from airflow_provider_videodb.triggers._required_action import first_event
from airflow_provider_videodb.triggers._shared_poll import PollKey, wait_for_event
from airflow_provider_videodb.triggers.events import FORMAT, EventStatus, error_event, sendable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_videodb.triggers._accounts import Account

#: Seconds before a trigger sends its event. If a trigger wakes its task before the scheduler has processed the end of
#: the worker that deferred it, the scheduler takes the queued task for one that died, and fails it.
SHORTEST_WAIT = 3.0


class WaitArguments(TypedDict, total=False):
    """The arguments that every trigger of this package takes, see :class:`BillingTrigger`."""

    videodb_conn_id: Required[str]
    poll_interval: Required[float]
    deadline: float | None
    timeout: float | None
    max_consecutive_failures: int
    pause: dict[str, Any] | None
    remind_at: float | None
    required_action: str | None


@dataclass(slots=True)
class Watch:
    """
    One poll, as one trigger uses it.

    :param fetch: sends the request. Triggers that pass the same function share the poll.
    :param on_value: returns the event that ends the wait, or ``None``; raises the error that ends it.
    :param start: prepares for the first value of an account. It runs again when the connection names another one.
    :param kind: what the metrics call the poll.
    :param budget: failures in a row that are still allowed.
    :param account: number of the account that the latest result is about.
    """

    fetch: Callable[[Account], Any]
    on_value: Callable[[Any], dict[str, Any] | None]
    start: Callable[[], None]
    kind: PollKind = PollKind.BALANCE
    budget: FailureBudget = field(init=False)
    account: int | None = None


class BillingTrigger(BaseTrigger):
    """
    Polls one account and fires once.

    Every error becomes an event, which raises it in the task, because ``soft_fail`` would turn a failed trigger into a
    skip. Arguments are checked in :meth:`start`, because an exception in ``__init__`` would end the triggerer. Unknown
    arguments are ignored, because another version may have stored them (see :mod:`.events`).

    The deadline is a date, so that it survives a restart of the triggerer. Within one process, the monotonic clock
    measures the wait, because a date may jump: forward would end the wait early, backward would prolong it.

    :param videodb_conn_id: id of the Airflow connection, which keeps the API key.
    :param poll_interval: seconds between polls. The deadline is checked once per interval.
    :param deadline: end of the wait, in seconds since 1970.
    :param timeout: longest wait, in seconds. It counts from the start of the trigger if there is no ``deadline``. It
        defaults to the time that is left until the ``deadline`` when the trigger is made.
    :param max_consecutive_failures: failed polls in a row that end the wait. A trigger with two polls continues until
        both have failed that often.
    :param pause: how long VideoDB asked to wait, in JSON form.
    :param remind_at: when people have to be reminded of the payment that the trigger waits for, in seconds since 1970;
        ``None`` if never.
    :param required_action: an ``ActionState``, if the task shows a Required Action.
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
        remind_at: float | None = None,
        required_action: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's base class is not annotated
        self.videodb_conn_id = videodb_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.timeout = _time_left(deadline) if timeout is None else timeout
        self.max_consecutive_failures = max_consecutive_failures
        self.pause = pause
        self.remind_at = remind_at
        self.required_action = required_action
        self._unknown = sorted(unknown.keys() - {"format"})
        self._watches: Sequence[Watch] = ()
        self._began = self._ends = 0.0
        self._began_at = datetime.fromtimestamp(0, UTC)
        self._template_error: Exception | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        kwargs = {
            "format": FORMAT,
            "videodb_conn_id": self.videodb_conn_id,
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            "timeout": self.timeout,
            "max_consecutive_failures": self.max_consecutive_failures,
            "pause": self.pause,
        }
        # The first release does not know these, so a wait without them is stored as that release stored it.
        later = {"remind_at": self.remind_at, "required_action": self.required_action}
        kwargs |= {name: value for name, value in later.items() if value is not None}
        return f"{type(self).__module__}.{type(self).__qualname__}", kwargs

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the templates; keep an error for the task."""
        try:
            super().render_template_fields(context, jinja_env)
        except Exception as err:  # noqa: BLE001 - see the class: the task is told of every error
            self._template_error = err

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the event that ends this wait."""
        not_before = time.monotonic() + SHORTEST_WAIT
        try:
            self.start()
            await self.prepare()
            wait = wait_for_event(
                *((self._poll_key(watch), partial(self.on_poll_result, watch)) for watch in self._watches),
                pause=None if self.pause is None else Pause.from_dict(self.pause),
            )
            event = await self._or_response(wait)
        except Exception as err:  # noqa: BLE001 - see the class: the task is told of every error
            event = error_event(err)
        if self.trigger_id is not None:
            await asyncio.sleep(not_before - time.monotonic())
        yield self.to_trigger_event(sendable(event))

    def start(self) -> None:
        """Check the rendered arguments and start the clock."""
        if self._template_error is not None:
            raise self._template_error
        allowed = parse_count("max_consecutive_failures", self.max_consecutive_failures)
        _check_seconds("poll_interval", self.poll_interval)
        for name in ("deadline", "timeout", "remind_at"):
            if getattr(self, name) is not None:
                _check_seconds(name, getattr(self, name))
        if self._unknown:
            self.log.warning("The trigger ignores arguments of another version: %s.", ", ".join(self._unknown))
        now, self._began = time.time(), time.monotonic()
        self._began_at = datetime.fromtimestamp(now, UTC)
        self._ends = self._began + seconds_left(self.deadline, self.timeout, now=now)
        self._watches = self.watches()
        for watch in self._watches:
            watch.budget = FailureBudget(allowed=allowed)
            watch.start()

    def on_poll_result(self, watch: Watch, result: PollResult) -> dict[str, Any] | None:
        """Return the event that ends the wait, if this tick of the poll does."""
        event = None if result is NO_RESULT else self._event_after(watch, result)
        # The deadline comes second and on the first poll only, so a value that arrives at the deadline still counts.
        if event is None and watch is self._watches[0] and self.is_overdue():
            return {"status": EventStatus.TIMEOUT, **self.event_payload()}
        return event

    async def prepare(self) -> None:
        """Do what this wait needs before its first poll; the clock runs already."""

    @abstractmethod
    def watches(self) -> Sequence[Watch]:
        """Return the polls of this wait; the first one checks the deadline."""

    @abstractmethod
    def event_payload(self) -> dict[str, Any]:
        """Return what the event of a timeout tells the task."""

    def to_trigger_event(self, event: dict[str, Any]) -> TriggerEvent:
        """Return the event for Airflow."""
        return TriggerEvent(event)  # type: ignore[no-untyped-call]  # Airflow's class is not annotated

    def now(self) -> datetime:
        """Return the time of day, measured from the start of the wait on the monotonic clock."""
        return self._began_at + timedelta(seconds=time.monotonic() - self._began)

    def is_overdue(self) -> bool:
        """Say whether the deadline has passed."""
        return time.monotonic() >= self._ends

    def has_come(self, moment: float | None) -> bool:
        """Say whether a moment, in seconds since 1970, has come; ``None`` never does."""
        return moment is not None and self.now().timestamp() >= moment

    def reminder(self) -> dict[str, Any] | None:
        """Return the event of a reminder, if it is due and the wait continues."""
        if not self.has_come(self.remind_at) or self.is_overdue():
            return None
        told = {"remind_at": self.remind_at, "required_action": self.required_action}
        return {"status": EventStatus.REMIND, **told, **self.event_payload()}

    def deadline_now(self) -> float | None:
        """Return the deadline as a date of today's clock, for a task that waits again."""
        return None if math.isinf(self._ends) else time.time() + self._ends - time.monotonic()

    async def _or_response(self, wait: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        ti, state = self.task_instance, self.required_action
        if self.trigger_id is None or ti is None or state is None:
            return await wait
        return await first_event(wait, ti_id=ti.id, state=state, interval=self.poll_interval)

    def _poll_key(self, watch: Watch) -> PollKey:
        # Airflow sets the id in a triggerer only.
        read_settings = read_in_worker if self.trigger_id is None else read_in_triggerer
        return PollKey(watch.fetch, self.videodb_conn_id, self.poll_interval, read_settings, watch.kind)

    def _event_after(self, watch: Watch, result: PollResult) -> dict[str, Any] | None:
        if result.account is not None and result.account != watch.account:
            if watch.account is not None:
                watch.budget = watch.budget.after(None)
                watch.start()
            watch.account = result.account
        watch.budget = watch.budget.after(result.error)
        if result.error is None:
            return watch.on_value(result.value)
        # Not raised, because all triggers share this exception, and each raise would add to its traceback.
        ends = is_final(result.error, connection_was_read=True) or all(one.budget.is_spent for one in self._watches)
        return error_event(result.error) if ends else None


def seconds_left(deadline: float | None, timeout: float | None, *, now: float) -> float:
    """
    Return how long a process may still wait, in seconds. Pure.

    A clock that was set back cannot make this longer than the ``timeout``.
    """
    longest = math.inf if timeout is None else timeout
    return longest if deadline is None else min(deadline - now, longest)


def _time_left(deadline: object) -> float | None:
    # A constructor must not raise; start() checks the deadline.
    return max(0.0, deadline - time.time()) if isinstance(deadline, int | float) else None


def _check_seconds(name: str, value: object) -> None:
    # A NaN would break the timers of the event loop, which all triggers share.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise VideoDBConfigError(
            f"{name} is {repr(value)[:200]}; it must be a number of seconds, zero or more. Nothing was sent. "
            "Next step: correct the argument of the task."
        )
