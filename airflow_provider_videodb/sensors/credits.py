"""The gate in front of a heavy job."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from numbers import Number
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_provider_videodb.hooks.arguments import check_literal, in_words, parse_count, parse_credits, parse_flag
from airflow_provider_videodb.hooks.log_page import log_error
from airflow_provider_videodb.version_compat import AirflowSensorTimeout, AirflowSkipException, TaskDeferralError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_videodb.sensors._pokes import Pokes

_POKES_KEY = "videodb_pokes"
#: How much later than our own deadline Airflow's may end the deferral, in case the triggerer cannot.
_BACKSTOP = 60


class CreditThresholdSensor(BaseSensorOperator):
    """
    Wait until the account's credit balance is at least ``threshold``.

    Guarantees: it never succeeds on a balance it could not read; the comparison is exact (100.1 reaches 100.1);
    ``timeout`` and ``soft_fail`` mean the same in every mode, and ``soft_fail`` skips for a timeout only, never for a
    fault of the API or of the triggerer. VideoDB's documents say that the balance can lag 5 to 15 minutes behind.

    By default it looks once and then defers, holding no worker; all such tasks of one connection and ``poke_interval``
    share one poll of VideoDB per triggerer. While looks fail, each pause is twice as long as the one before, up to five
    minutes. With ``deferrable=False`` the ``mode`` counts: ``poke`` holds a worker for the whole wait, ``reschedule``
    takes one for every poke. Airflow's ``never_fail``, ``silent_fail`` and ``exponential_backoff`` count in these two
    modes only.

    Returns (XCom ``return_value``) the usage it saw, in credits:
    ``{"credit_balance": 120, "usage_this_month": 30.5, "breakdown": {"indexing": 30.5}}``.

    Raises ``AirflowSensorTimeout`` when ``timeout`` is over, which Airflow does not retry;
    :class:`~airflow_provider_videodb.exceptions.VideoDBConfigError` for a threshold that is no number of credits,
    :class:`~airflow_provider_videodb.exceptions.VideoDBAuthenticationError` or ``VideoDBPermissionError`` (401, 403) at
    once, and any other :class:`~airflow_provider_videodb.exceptions.VideoDBError` after ``max_consecutive_failures``.

    What a look says holds for the account that the connection names at that moment: point the connection at another
    account, and the next look asks that one; failures and pauses of the old one do not count for it. An answer that is
    not VideoDB's, such as the page of a gateway, is a failed look.

    :param threshold: credits, a number or a string that spells one. (templated)
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    :param poke_interval: seconds, or a timedelta, between looks.
    :param timeout: how long the task waits, in seconds or as a timedelta; Airflow's ``[sensors] default_timeout``, a
        week, if left out. A clock that is set while the task waits neither ends nor prolongs a wait in the triggerer.
    :param soft_fail: skip the task, instead of failing it, when ``timeout`` is over.
    :param mode: ``poke`` or ``reschedule``, for ``deferrable=False``.
    :param exponential_backoff: as in Airflow, for ``deferrable=False``.
    :param silent_fail: as in Airflow, for ``deferrable=False``.
    :param never_fail: as in Airflow, for ``deferrable=False``.
    :param max_consecutive_failures: failed pokes in a row that fail the task. Being asked to slow down (429) is none:
        the next poke then waits as long as VideoDB asks. The look before a deferral counts apart. With
        ``mode="reschedule"`` below Airflow 3.3 nothing can remember either from one poke to the next.
    :param deferrable: wait in the triggerer. ``False`` is for deployments without one.
    :param start_from_trigger: start waiting in the triggerer, without any worker; needs ``deferrable``. The first look
        comes within ``poke_interval``, or ten seconds if that is longer. Templates then need Airflow 3.3. What can only
        be resolved in a worker starts there all the same: a mapped task, one in a mapped task group, and one whose
        argument is not a number, a text or the plain result of a task (``.map()``, ``.zip()``, ``.concat()``).
    :param end_from_trigger: succeed (or, with ``soft_fail``, be skipped) in the triggerer, without any worker; needs
        ``deferrable``. What fails the task still takes one, so that retries and callbacks work. Airflow 3.3 hands the
        return value to later tasks as a JSON string in this case.
    """

    template_fields: Sequence[str] = ("threshold", "videodb_conn_id")
    ui_color = "#fdebd0"

    def __init__(
        self,
        *,
        threshold: float | str | XComArg,
        videodb_conn_id: str | XComArg = "videodb_default",
        poke_interval: timedelta | float = 60,
        timeout: timedelta | float | None = None,
        soft_fail: bool = False,
        mode: str = "poke",
        exponential_backoff: bool = False,
        silent_fail: bool = False,
        never_fail: bool = False,
        max_consecutive_failures: int = 5,
        deferrable: bool = True,
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        if timeout is not None:
            # Before Airflow 3.3 its sensor does not take None for its default.
            kwargs["timeout"] = timeout
        super().__init__(
            poke_interval=poke_interval,
            soft_fail=soft_fail,
            mode=mode,
            exponential_backoff=exponential_backoff,
            silent_fail=silent_fail,
            never_fail=never_fail,
            **kwargs,
        )
        check_literal(parse_credits, "threshold", threshold)
        check_literal(parse_count, "max_consecutive_failures", max_consecutive_failures)
        check_literal(parse_flag, "deferrable", deferrable)
        check_literal(parse_flag, "start_from_trigger", start_from_trigger)
        check_literal(parse_flag, "end_from_trigger", end_from_trigger)
        self.threshold = threshold
        self.videodb_conn_id = videodb_conn_id
        self.max_consecutive_failures = max_consecutive_failures
        self.deferrable = deferrable
        self.start_from_trigger = deferrable and start_from_trigger and self._can_be_spelled()
        self.end_from_trigger = end_from_trigger
        self._pokes: dict[str, Any] = {}
        if self.start_from_trigger:
            from airflow.triggers.base import StartTriggerArgs

            self.start_trigger_args = StartTriggerArgs(
                trigger_cls="airflow_provider_videodb.triggers.credits.CreditThresholdTrigger",
                trigger_kwargs=self._trigger_kwargs(),
                next_method="execute_complete",
                timeout=self._backstop(),
            )

    def execute(self, context: Context) -> Any:
        """Look once, then wait in the way that was chosen."""
        with self._show_failure():
            return self._execute_deferrable(context) if self.deferrable else self._execute_in_worker(context)

    def _execute_in_worker(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            raise self._timeout_error() from None

    def _execute_deferrable(self, context: Context) -> Any:
        deadline = time.time() + self.timeout
        if done := self.poke(context):
            return done.xcom_value

        from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger

        pause = self._recall(context).pause
        return self.defer(
            trigger=CreditThresholdTrigger(
                **self._trigger_kwargs(), deadline=deadline, pause=None if pause is None else pause.to_dict()
            ),
            method_name="execute_complete",
            timeout=self._backstop(),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Compare the balance with the threshold; a failed look is "not yet" until too many fail in a row."""
        from airflow_provider_videodb.exceptions import (
            VideoDBError,
            VideoDBNoConnectionError,
            VideoDBRateLimitError,
            is_permanent,
        )
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        threshold = parse_credits("threshold", self.threshold)
        allowed = parse_count("max_consecutive_failures", self.max_consecutive_failures)
        hook = VideoDBBillingHook(str(self.videodb_conn_id))
        pokes = self._recall(context)
        try:
            pokes = pokes.of(hook.settings).by_the_clock(time.time())
            if pokes.pause is not None:
                self._remember(context, pokes)
                self.log.info("VideoDB asked to wait; not asked.")
                return PokeReturnValue(is_done=False)
            usage = hook.get_poll_client().get_usage()
        except VideoDBRateLimitError as err:
            self._remember(context, pokes.asked_to_wait(err.retry_after or 0, now=time.time()))
            self.log.warning("Could not read the credit balance: %s", err)
            return PokeReturnValue(is_done=False)
        except VideoDBError as err:
            # A connection that this try has read before exists, so Airflow only failed to read it now.
            is_missing = isinstance(err, VideoDBNoConnectionError) and pokes.account is None
            pokes = pokes.failed()
            if pokes.failures >= allowed or is_permanent(err) or is_missing:
                raise
            self._remember(context, pokes)
            self.log.warning("Could not read the credit balance (%s of %s): %s", pokes.failures, allowed, err)
            return PokeReturnValue(is_done=False)
        self._remember(context, pokes.worked())
        self.log.info("The credit balance is %s, the threshold %s.", usage.credit_balance, threshold)
        return PokeReturnValue(is_done=usage.covers(threshold), xcom_value=usage.to_dict())

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Finish after the trigger; on any event but the expected ones, fail."""
        from airflow_provider_videodb.triggers.events import EventStatus, checked_event

        if self.end_from_trigger and event == "success":
            # Only dag.test() hands us the events that end a task in a real triggerer, without what they carry.
            return self.execute(context)
        if self.end_from_trigger and event == "skipped":
            event = {"status": EventStatus.TIMEOUT, "usage": None}
        checked = checked_event(event, EventStatus.ENOUGH, EventStatus.TIMEOUT)
        if checked["status"] == EventStatus.TIMEOUT:
            raise self._timeout_error(checked["usage"])
        self.log.info("The credit balance is %s, the threshold %s.", checked["usage"]["credit_balance"], self.threshold)
        return checked["usage"]

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as Airflow does, but let ``soft_fail`` skip for a timeout only, not for a trigger that failed."""
        with self._show_failure():
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except AirflowSkipException as skip:
                if self.soft_fail and skip.__cause__ and not isinstance(skip.__cause__, AirflowSensorTimeout):
                    raise skip.__cause__ from None
                raise

    @contextmanager
    def _show_failure(self) -> Iterator[None]:
        """Log an error that ends the task where a person finds the next step."""
        from airflow_provider_videodb.exceptions import VideoDBError

        try:
            yield
        except (VideoDBError, AirflowSensorTimeout, TaskDeferralError) as err:
            log_error(self.log, err, conn_id=self.videodb_conn_id)
            raise

    def _timeout_error(self, usage: Mapping[str, Any] | None = None) -> AirflowSensorTimeout:
        """Return the error for a wait that ran out; without ``usage`` the log above has the last balance."""
        seen = "" if usage is None else f" The last balance was {usage['credit_balance']} credits."
        return AirflowSensorTimeout(
            f"The credit balance did not reach {self.threshold} credits within {in_words(self.timeout)} (timeout)."
            f"{seen} Next step: top up the account, then clear this task."
        )

    def _can_be_spelled(self) -> bool:
        """Say whether a trigger that no worker made can be given the arguments; the others are resolved in a worker."""
        return self.get_closest_mapped_task_group() is None and all(
            isinstance(value, str | Number) or _is_plain_result(value)
            for value in (self.threshold, self.videodb_conn_id)
        )

    def _trigger_kwargs(self) -> dict[str, Any]:
        return {
            # As texts, which a plain XComArg spells as the template that pulls it.
            "threshold": str(self.threshold),
            "videodb_conn_id": str(self.videodb_conn_id),
            "poll_interval": self.poke_interval,
            "timeout": self.timeout,
            "max_consecutive_failures": self.max_consecutive_failures,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }

    def _backstop(self) -> timedelta:
        # Our own deadline is looked at once per poll, as in the other modes.
        return timedelta(seconds=self.timeout + self.poke_interval + _BACKSTOP)

    def _recall(self, context: Context) -> Pokes:
        """Return what this try remembers of its pokes."""
        from airflow_provider_videodb.sensors._pokes import Pokes

        store = self._store(context)
        stored = self._pokes if store is None else store.get(_POKES_KEY)
        return Pokes.from_dict(stored, try_number=context["ti"].try_number)

    def _remember(self, context: Context, pokes: Pokes) -> None:
        if pokes == self._recall(context):
            return
        store = self._store(context)
        if store is None:
            self._pokes = pokes.to_dict()
        else:
            store.set(_POKES_KEY, pokes.to_dict())

    def _store(self, context: Context) -> Any:
        """Return where a poke leaves its memory to the next: the task state store where each is its own process."""
        return context.get("task_state_store") if self.reschedule and not self.deferrable else None


def _is_plain_result(value: object) -> bool:
    # A key with a quote in it would end the text in the template that Airflow spells.
    return isinstance(value, PlainXComArg) and repr(value.key) == f"'{value.key}'"
