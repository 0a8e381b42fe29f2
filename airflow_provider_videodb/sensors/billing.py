"""The gate in front of a heavy job."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseSensorOperator, PokeReturnValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

_FAILURES_KEY = "videodb_consecutive_failures"
#: How much later than our own deadline Airflow's may end the deferral, in case the triggerer cannot.
_BACKSTOP = timedelta(seconds=60)


class CreditThresholdSensor(BaseSensorOperator):
    """
    Wait until the account's credit balance is at least ``threshold``.

    Guarantees: it never succeeds on a balance it could not read; the comparison is exact (100.1 reaches 100.1);
    ``timeout`` and ``soft_fail`` mean the same in every mode, and ``soft_fail`` skips for a timeout only, never for a
    fault of the API. VideoDB's documents say that the balance can lag 5 to 15 minutes behind.

    By default it looks once and then defers, holding no worker; on Airflow 3.3 all such tasks of one connection and
    ``poke_interval`` share one poll of VideoDB per triggerer. With ``deferrable=False`` the ``mode`` counts: ``poke``
    holds a worker for the whole wait, ``reschedule`` takes one for every poke.

    Returns (XCom ``return_value``) the usage it saw, in credits:
    ``{"credit_balance": 120, "usage_this_month": 30.5, "breakdown": {"indexing": 30.5}}``.

    Raises ``AirflowSensorTimeout`` when ``timeout`` is over,
    :class:`~airflow_provider_videodb.exceptions.VideoDBConfigError` for a threshold that is no number of credits,
    :class:`~airflow_provider_videodb.exceptions.VideoDBAuthenticationError` or ``VideoDBPermissionError`` (401, 403) at
    once, and any other :class:`~airflow_provider_videodb.exceptions.VideoDBError` after ``max_consecutive_failures``.

    :param threshold: credits, a number or a string that spells one. (templated)
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    :param max_consecutive_failures: failed pokes in a row that fail the task. With ``mode="reschedule"`` below
        Airflow 3.3 nothing can count them, and only ``timeout`` ends a wait whose pokes fail.
    :param deferrable: wait in the triggerer. ``False`` is for deployments without one.
    :param start_from_trigger: start waiting in the triggerer, without any worker; needs ``deferrable``. Templates then
        need Airflow 3.3.
    :param end_from_trigger: succeed (or, with ``soft_fail``, be skipped) in the triggerer, without any worker; needs
        ``deferrable``. What fails the task still takes one, so that retries and callbacks work. Airflow 3.3 hands the
        return value to later tasks as a JSON string in this case.
    """

    template_fields: Sequence[str] = ("threshold", "videodb_conn_id")
    ui_color = "#fdebd0"

    def __init__(
        self,
        *,
        threshold: float | str,
        videodb_conn_id: str = "videodb_default",
        max_consecutive_failures: int = 5,
        deferrable: bool = True,
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.videodb_conn_id = videodb_conn_id
        self.max_consecutive_failures = max_consecutive_failures
        self.deferrable = deferrable
        self.start_from_trigger = deferrable and start_from_trigger
        self.end_from_trigger = end_from_trigger
        self._failures = 0
        if self.start_from_trigger:
            from airflow.triggers.base import StartTriggerArgs

            self.start_trigger_args = StartTriggerArgs(
                trigger_cls="airflow_provider_videodb.triggers.billing.CreditThresholdTrigger",
                # An XComArg spells itself as the template that pulls it.
                trigger_kwargs=self._trigger_kwargs() | {"threshold": str(threshold), "timeout": self.timeout},
                next_method="execute_complete",
                timeout=timedelta(seconds=self.timeout) + _BACKSTOP,
            )

    def execute(self, context: Context) -> Any:
        """Look once, then wait in the way that was chosen."""
        if not self.deferrable:
            return super().execute(context)
        deadline = time.time() + self.timeout
        if done := self.poke(context):
            return done.xcom_value

        from airflow_provider_videodb.triggers.billing import CreditThresholdTrigger

        return self.defer(
            trigger=CreditThresholdTrigger(**self._trigger_kwargs(), deadline=deadline),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + _BACKSTOP,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Compare the balance with the threshold; a failed look is "not yet" until too many fail in a row."""
        from airflow_provider_videodb.arguments import count_argument, credits_argument
        from airflow_provider_videodb.exceptions import PERMANENT_ERRORS, VideoDBError
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        threshold = credits_argument("threshold", self.threshold)
        allowed = count_argument("max_consecutive_failures", self.max_consecutive_failures)
        try:
            usage = VideoDBBillingHook(self.videodb_conn_id).get_usage()
        except PERMANENT_ERRORS:
            raise
        except VideoDBError as err:
            failures = self._count_failures(context, failed=True)
            if failures >= allowed:
                self._count_failures(context, failed=False)
                raise
            self.log.warning("Could not read the credit balance (%s of %s): %s", failures, allowed, err)
            return PokeReturnValue(is_done=False)
        self._count_failures(context, failed=False)
        self.log.info("The credit balance is %s, the threshold %s.", usage.credit_balance, threshold)
        return PokeReturnValue(is_done=usage.covers(threshold), xcom_value=usage.to_dict())

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Finish after the trigger; on any event but the expected ones, fail."""
        if self.end_from_trigger and event == "success":
            # dag.test() hands us the event that ends a task in a real triggerer.
            return self.execute(context)

        from airflow_provider_videodb.triggers.billing import EventStatus, checked_event

        checked = checked_event(event, EventStatus.ENOUGH, EventStatus.TIMEOUT)
        if checked["status"] == EventStatus.TIMEOUT:
            seen = checked["usage"]["credit_balance"] if checked["usage"] else "unknown"
            raise AirflowSensorTimeout(
                f"The credit balance ({seen}) did not reach {self.threshold} within {self.timeout:g} s. Top up the "
                "account, then clear this task."
            )
        self.log.info("The credit balance is %s, the threshold %s.", checked["usage"]["credit_balance"], self.threshold)
        return checked["usage"]

    def _trigger_kwargs(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "videodb_conn_id": self.videodb_conn_id,
            "poll_interval": self.poke_interval,
            "max_consecutive_failures": self.max_consecutive_failures,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }

    def _count_failures(self, context: Context, *, failed: bool) -> int:
        """Count failed pokes in a row; where every poke is a process of its own, in the task state store."""
        store: Any = context.get("task_state_store") if self.reschedule and not self.deferrable else None
        before = int(store.get(_FAILURES_KEY, 0)) if store is not None else self._failures
        self._failures = before + 1 if failed else 0
        if store is not None and self._failures != before:
            store.set(_FAILURES_KEY, self._failures)
        if store is None and self.reschedule and not self.deferrable:
            return 0
        return self._failures
