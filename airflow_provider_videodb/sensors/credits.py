"""The gate in front of a heavy job."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBError
from airflow_provider_videodb.hooks.arguments import (
    Reader,
    check_literal,
    in_words,
    parse_count,
    parse_credits,
    parse_flag,
    parse_hold,
    parse_priority,
)
from airflow_provider_videodb.hooks.log_page import log_error
from airflow_provider_videodb.operators._holding import HoldsCredits
from airflow_provider_videodb.sensors._trigger_arguments import (
    can_start_in_triggerer,
    start_arguments,
    trigger_arguments,
)
from airflow_provider_videodb.version_compat import (
    VARIABLES_CAN_BE_LISTED,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_videodb.hooks.arguments import HoldMode
    from airflow_provider_videodb.sensors._credit_check import CreditCheck

#: Seconds after the task's own deadline at which Airflow ends the deferral, in case no triggerer runs.
_BACKSTOP = 60
#: Arguments that are checked while the DAG file is parsed, unless they are templates.
_LITERALS: Mapping[str, Reader] = {
    "threshold": parse_credits,
    "max_consecutive_failures": parse_count,
    "deferrable": parse_flag,
    "start_from_trigger": parse_flag,
    "end_from_trigger": parse_flag,
    "hold": parse_hold,
    "respect_holds": parse_flag,
    "priority": parse_priority,
}


class CreditThresholdSensor(HoldsCredits, BaseSensorOperator):
    """
    Wait until at least ``threshold`` credits are available.

    Credits that others hold are not available. A balance that cannot be read is never enough. The comparison is exact:
    100.1 reaches 100.1. VideoDB's balance may lag 5 to 15 minutes behind, according to its documentation.

    With ``hold=True``, the task also holds the credits, so that no other gate of the account counts on them. It holds
    them until a :class:`~airflow_provider_videodb.operators.release_credits.ReleaseCreditsOperator` or the end of the
    DAG run releases them. :meth:`held` makes that release the teardown of the jobs. Without a hold, the task still
    does not take what others hold. While it waits, its log and the XCom ``waiting`` say why, and at which place.

    By default the task polls once in a worker and then waits in the triggerer. All tasks with the same connection and
    ``poke_interval`` share one poll per triggerer. Each failed poll doubles the delay before the next one, up to five
    minutes. With ``deferrable=False`` the task waits as its ``mode`` says: ``poke`` holds a worker for the whole wait,
    ``reschedule`` needs one for each poke.

    The task polls the account that the connection names at that moment. When the connection is changed, the next poll
    uses the new account, and the failures of the old one no longer count.

    Returns (XCom ``return_value``) the usage that it read, in credits:
    ``{"credit_balance": 120, "usage_this_month": 30.5, "breakdown": {"indexing": 30.5}}``. It adds ``held``, which is
    0 without a hold, ``balance``, and ``available``. The last one is the balance without the connection's
    ``credit_reserve`` and without what others hold.

    Raises ``AirflowSensorTimeout``, which Airflow does not retry, when ``timeout`` is over. Raises
    :class:`~airflow_provider_videodb.exceptions.VideoDBConfigError` at once if an argument or the connection breaks a
    rule, and ``VideoDBAuthenticationError`` or ``VideoDBPermissionError`` at once if VideoDB refuses the API key (401,
    403). Raises any other :class:`~airflow_provider_videodb.exceptions.VideoDBError` after
    ``max_consecutive_failures``.

    :param threshold: credits, a number or a string that spells one. (templated)
    :param videodb_conn_id: id of the ``videodb`` connection. (templated)
    :param poke_interval: time between polls, in seconds or as a timedelta.
    :param timeout: longest wait, in seconds or as a timedelta. It defaults to Airflow's ``[sensors] default_timeout``,
        which is a week. A change of the clock does not change a wait in the triggerer.
    :param soft_fail: skip the task when ``timeout`` is over. Errors of VideoDB or of the triggerer still fail it.
    :param mode: ``poke`` or ``reschedule``; only with ``deferrable=False``.
    :param exponential_backoff: as in Airflow; only with ``deferrable=False``.
    :param silent_fail: as in Airflow; only with ``deferrable=False``.
    :param never_fail: as in Airflow; only with ``deferrable=False``.
    :param max_consecutive_failures: failed polls in a row that fail the task. A 429 does not count: the next poll waits
        as long as VideoDB asks. The poll in the worker is not counted together with those in the triggerer. With
        ``mode="reschedule"`` before Airflow 3.3, each poke counts alone.
    :param deferrable: wait in the triggerer. Use ``False`` in a deployment without a triggerer.
    :param hold: hold ``threshold`` credits. ``"audit"`` opens as without a hold, and logs what a hold would do.
        Needs Airflow 3.3.
    :param respect_holds: do not count what others hold as available. ``False`` excludes ``hold=True``. It has no effect
        before Airflow 3.3.
    :param priority: in the queue of gates with a hold, a higher number goes first.
    :param start_from_trigger: begin the wait in the triggerer, without a worker; needs ``deferrable``. The first poll
        comes after at most ``poke_interval`` or 10 seconds, whichever is shorter. A mapped task still begins in a
        worker, and so does one in a mapped task group. The same applies if an argument is not a number, a string or the
        plain output of a task (so not ``.map()``, ``.zip()`` or ``.concat()``). The argument has no effect before
        Airflow 3.3, because an older one starts every task in a worker.
    :param end_from_trigger: end the task in the triggerer, without a worker, when it succeeds or is skipped; needs
        ``deferrable``. A failure still needs a worker, so that retries and callbacks work. Airflow then passes the
        return value to later tasks as a JSON string.
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
        hold: HoldMode = False,
        respect_holds: bool = True,
        priority: int = 0,
        **kwargs: Any,
    ) -> None:
        if timeout is not None:
            # Before Airflow 3.3, its sensor does not accept None.
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
        self.threshold = threshold
        self.videodb_conn_id = videodb_conn_id
        self.max_consecutive_failures = max_consecutive_failures
        self.deferrable = deferrable
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        self.hold = hold
        self.respect_holds = respect_holds
        self.priority = priority
        for name, read in _LITERALS.items():
            check_literal(read, name, getattr(self, name))
        if hold and end_from_trigger:
            raise VideoDBConfigError(
                f"hold is {hold!r} together with end_from_trigger, but only a worker can hold credits. Nothing was "
                "held. Next step: remove end_from_trigger from the task."
            )
        self.reject_hold_that_ignores_others(respect_holds=respect_holds)
        self.start_from_trigger = deferrable and start_from_trigger and can_start_in_triggerer(self)
        self._check: CreditCheck | None = None
        if self.start_from_trigger:
            self.start_trigger_args = start_arguments(self, timeout=self._backstop())

    def execute(self, context: Context) -> Any:
        """Poll once, then wait in the chosen way."""
        with self._show_failure():
            return self._execute_deferrable(context) if self.deferrable else self._execute_in_worker(context)

    def _execute_deferrable(self, context: Context, *, deadline: float | None = None) -> Any:
        ends_at = time.time() + self.timeout if deadline is None else deadline
        if done := self.poke(context):
            return done.xcom_value
        if deadline is not None and time.time() >= deadline:
            raise self._timeout_error(context, {"reason": self._check_of(context).reason})
        trigger = self._check_of(context).trigger(trigger_arguments(self), deadline=ends_at)
        return self.defer(trigger=trigger, method_name="execute_complete", timeout=self._backstop())

    def poke(self, context: Context) -> PokeReturnValue:
        """Compare balance and threshold once."""
        return self._check_of(context).poke()

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Finish after the trigger; fail on an unknown event."""
        from airflow_provider_videodb.operators._credit_gate import push_reason
        from airflow_provider_videodb.triggers.events import EventStatus, checked_event, gate_result

        if self.end_from_trigger and event == "success":
            # A real triggerer ends the task itself. dag.test() hands over the event without what it carries.
            return self.execute(context)
        if self.end_from_trigger and event == "skipped":
            event = {"status": EventStatus.TIMEOUT}
        checked = checked_event(event, EventStatus.ENOUGH, EventStatus.MAY_OPEN, EventStatus.TIMEOUT)
        if checked["status"] == EventStatus.TIMEOUT:
            raise self._timeout_error(context, checked)
        if checked["status"] == EventStatus.MAY_OPEN or self.hold:
            # Another gate may have gone first since the trigger polled. A trigger of an older version ignores holds.
            self._check_of(context).resume(checked.get("reason"))
            return self._execute_deferrable(context, deadline=checked.get("deadline"))
        if self.respect_holds and VARIABLES_CAN_BE_LISTED:
            push_reason(context["ti"], None)
        result = gate_result(checked)
        self.log.info("The balance is %s credits; the threshold is %s credits.", result["balance"], self.threshold)
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as Airflow does, but let ``soft_fail`` skip for a timeout only, not for a trigger that failed."""
        with self._show_failure():
            try:
                return super().resume_execution(next_method, next_kwargs, context)
            except AirflowSkipException as skip:
                if self.soft_fail and skip.__cause__ and not isinstance(skip.__cause__, AirflowSensorTimeout):
                    raise skip.__cause__ from None
                raise
            except AirflowSensorTimeout as late:
                # Airflow 3.1.3 fails a task that no triggerer resumed in time, even with soft_fail.
                if self.soft_fail:
                    raise AirflowSkipException("Skipping due to soft_fail is set to True.") from late
                raise

    @contextmanager
    def _show_failure(self) -> Iterator[None]:
        """Log an error and its next step."""
        try:
            yield
        except (VideoDBError, AirflowSensorTimeout, TaskDeferralError) as err:
            log_error(self.log, err, conn_id=self.videodb_conn_id)
            raise

    def _execute_in_worker(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            raise self._timeout_error(context, {"reason": self._check_of(context).reason}) from None
        except AirflowSkipException:
            self._leave_queue(context)
            raise

    def _timeout_error(self, context: Context, event: Mapping[str, Any] | None = None) -> AirflowSensorTimeout:
        """
        Leave the queue, and return the error for the timeout.

        :param event: of the trigger; without it, the log above has the last balance.
        """
        self._leave_queue(context)
        seen, waited = event or {}, in_words(self.timeout)
        if seen.get("reason"):
            return AirflowSensorTimeout(
                f"The gate did not open within {waited} (timeout). {seen['reason']} Next step: see who holds credits "
                "with `airflow videodb holds list`. Top up the account, or wait until they are released. Then clear "
                "this task."
            )
        usage = seen.get("usage")
        last = "" if usage is None else f" The last balance was {usage['credit_balance']} credits."
        return AirflowSensorTimeout(
            f"The credit balance did not reach {self.threshold} credits within {waited} (timeout).{last} Next step: "
            "top up the account, then clear this task."
        )

    def _leave_queue(self, context: Context) -> None:
        if self.hold is True:
            self._check_of(context).leave_queue()

    def _check_of(self, context: Context) -> CreditCheck:
        """Return this try's check, which remembers earlier pokes."""
        from airflow_provider_videodb.sensors._credit_check import CreditCheck

        if self._check is None or self._check.try_number != context["ti"].try_number:
            self._check = CreditCheck(self, context)
        return self._check

    def _backstop(self) -> timedelta:
        # The trigger checks its deadline once per poll.
        return timedelta(seconds=self.timeout + self.poke_interval + _BACKSTOP)
