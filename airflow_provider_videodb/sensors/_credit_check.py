"""
The work of the sensor in a worker.

Loaded when a task runs.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import PokeReturnValue

from airflow_provider_videodb import metrics
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBRateLimitError, without_next_step
from airflow_provider_videodb.hooks.arguments import parse_count, parse_credits
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.hooks.log_page import log_lines
from airflow_provider_videodb.operators._credit_gate import TaskGate
from airflow_provider_videodb.sensors._pokes import Pokes
from airflow_provider_videodb.triggers._failures import FailureBudget, is_final
from airflow_provider_videodb.triggers.credits import CreditThresholdTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_videodb.sensors.credits import CreditThresholdSensor

_POKES_KEY = "videodb_pokes"


class CreditCheck:
    """
    Checks once per poke whether the gate may open.

    :param sensor: the task, with its templates rendered.
    :raises VideoDBConfigError: naming the argument, its value and the rule.
    """

    def __init__(self, sensor: CreditThresholdSensor, context: Context) -> None:
        self.try_number = context["ti"].try_number
        self._threshold = parse_credits("threshold", sensor.threshold)
        self._allowed = parse_count("max_consecutive_failures", sensor.max_consecutive_failures)
        self._conn_id = str(sensor.videodb_conn_id)
        self._log = sensor.log
        self._gate = TaskGate(sensor, context, self._threshold)
        # In reschedule mode each poke is a process, and only the task state store of Airflow 3.3 outlives it.
        self._store: Any = context.get("task_state_store") if sensor.reschedule and not sensor.deferrable else None
        self._pokes = Pokes.from_dict(
            None if self._store is None else self._store.get(_POKES_KEY), try_number=self.try_number
        )

    def poke(self) -> PokeReturnValue:
        """
        Check once; a failure means "not yet" at first.

        Too many failures in a row raise the last one.
        """
        pokes = self._pokes
        try:
            # Read for each poke, because the connection may name another account meanwhile.
            hook = VideoDBBillingHook(self._conn_id)
            pokes = pokes.of(hook.settings).by_the_clock(time.time())
            if pokes.pause is not None:
                return self._not_yet(
                    pokes, f"VideoDB asked for a pause of {pokes.pause.asked:g} s, so this poke sends nothing."
                )
            check = self._gate.check(hook.settings, hook.get_poll_client().get_usage)
        except VideoDBError as err:
            return self._after_failure(pokes, err)
        metrics.send(metrics.BALANCE, check.usage.credit_balance, conn_id=self._conn_id)
        self._remember(replace(pokes, failures=0))
        self._log.info(
            "The balance is %s credits; the threshold is %s credits.", check.usage.credit_balance, self._threshold
        )
        return PokeReturnValue(is_done=check.is_open, xcom_value=check.usage.to_dict() | check.to_dict())

    def trigger(self, arguments: dict[str, Any], *, deadline: float) -> CreditThresholdTrigger:
        """Return the trigger that continues after the poke."""
        pause = None if self._pokes.pause is None else self._pokes.pause.to_dict()
        return CreditThresholdTrigger(**arguments | {"gate": self._gate.for_trigger()}, deadline=deadline, pause=pause)

    def resume(self, told: str | None) -> None:
        """
        Continue after a trigger.

        :param told: why the gate waited when the trigger ended.
        """
        self._gate.resume(told)

    @property
    def reason(self) -> str | None:
        """Why others kept the gate closed at the last poke."""
        return self._gate.reason

    def leave_queue(self) -> None:
        """Leave the queue of waiting gates."""
        with suppress(VideoDBError):
            self._gate.leave(VideoDBBillingHook(self._conn_id).settings)

    def _after_failure(self, pokes: Pokes, err: VideoDBError) -> PokeReturnValue:
        budget = FailureBudget(allowed=self._allowed, failures=pokes.failures).after(err)
        is_spent = budget.is_spent and not isinstance(err, VideoDBRateLimitError)
        if is_spent or is_final(err, connection_was_read=pokes.account is not None):
            raise err
        if isinstance(err, VideoDBRateLimitError):
            pokes = pokes.asked_to_wait(err.retry_after or 0, now=time.time())
        counted = f"{budget.failures} of {self._allowed} allowed failures in a row"
        return self._not_yet(
            replace(pokes, failures=budget.failures),
            f"The balance could not be read ({counted}). The task keeps waiting. {without_next_step(str(err))}",
        )

    def _not_yet(self, pokes: Pokes, why: str) -> PokeReturnValue:
        self._remember(pokes)
        log_lines(self._log.warning, why)
        return PokeReturnValue(is_done=False)

    def _remember(self, pokes: Pokes) -> None:
        if self._store is not None and pokes != self._pokes:
            self._store.set(_POKES_KEY, pokes.to_dict())
        self._pokes = pokes
