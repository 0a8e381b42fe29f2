"""
Checks in a worker whether a task's gate may open.

Loaded when the task runs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, without_next_step
from airflow_provider_videodb.holds.gate import CreditGate
from airflow_provider_videodb.holds.identity import Identity
from airflow_provider_videodb.holds.rules.messages import WAITING_KEY, number
from airflow_provider_videodb.holds.rules.records import try_of
from airflow_provider_videodb.hooks.log_page import log_lines
from airflow_provider_videodb.purchases.rules.required_action import Shortage
from airflow_provider_videodb.triggers._gates import WaitingGate
from airflow_provider_videodb.version_compat import VARIABLES_CAN_BE_LISTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.types import Logger

    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.holds.gate import Admission
    from airflow_provider_videodb.hooks.arguments import HoldMode
    from airflow_provider_videodb.hooks.connection import ConnectionSettings


class GateTask(Protocol):
    """The sensor or operator that is a gate."""

    is_setup: bool
    hold: HoldMode
    respect_holds: bool
    priority: int

    @property
    def log(self) -> Logger:
        """The log of the task."""
        ...

    def get_flat_relative_ids(self, *, upstream: bool = False) -> set[str]:
        """Return the ids of all tasks behind this one."""
        ...


@dataclass(frozen=True, kw_only=True)
class GateCheck:
    """
    What one check of a gate found.

    :param admission: what the holds of the account allow; ``None`` if the gate ignores them.
    :param available: credits that the gate may take.
    :param missing: credits that have to be bought; 0 if none, or if buying would not open the gate.
    :param is_kept_by_others: whether the gate is closed although the account has enough.
    """

    is_open: bool
    usage: Usage
    available: Decimal
    missing: Decimal = Decimal(0)
    is_kept_by_others: bool = False
    admission: Admission | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what a gate adds to its XCom."""
        if self.admission is not None:
            return self.admission.to_dict()
        balance = to_json_number(self.usage.credit_balance)
        return {"held": 0, "balance": balance, "available": to_json_number(self.available)}

    def shortage(self, needed: Decimal) -> Shortage:
        """Return why the task buys, for the person who pays."""
        return Shortage(needed=needed, available=self.available, missing=self.missing)


class TaskGate:
    """
    The gate of one task.

    :param credits: what the job needs.
    :param has_waited: whether this try has waited before. Then a trigger may have reported the reason.
    """

    def __init__(self, task: GateTask, context: Context, credits: Decimal, *, has_waited: bool = False) -> None:
        self._task = task
        self._ti: Any = context["ti"]
        self._credits = credits
        #: Why the gate is closed, if it holds credits or if the holds of others keep it closed.
        self.reason: str | None = None
        #: The reason in the log and in the XCom; empty if a trigger may have written another one.
        self._said = "" if has_waited else None
        self._audited = ""
        #: Whether the task is certainly in the queue.
        self._has_place = False
        #: Whether holds decide. Below Airflow 3.3, no task can list what others hold.
        self.sees_holds = VARIABLES_CAN_BE_LISTED and (task.respect_holds or task.hold is True)

    def resume(self, told: str | None) -> None:
        """
        Continue after a trigger.

        :param told: why the gate waited when the trigger ended.
        """
        # Not None, because the XCom may still have an earlier reason.
        self._said = told or ""

    def check(self, settings: ConnectionSettings, get_usage: Callable[[], Usage]) -> GateCheck:
        """
        Check the gate once, and hold the credits if possible.

        :param get_usage: reads the balance from VideoDB.
        :raises VideoDBError: if Airflow or VideoDB does not respond. Then the gate stays closed.
        """
        if not self.sees_holds:
            usage = get_usage()
            if self._task.hold == "audit" and VARIABLES_CAN_BE_LISTED:
                self._audit(settings, usage)
            return self._without_holds(settings, usage)
        gate = self._gate(settings, get_usage)
        self._has_place = False
        admission = gate.hold() if self._task.hold is True else gate.look()
        self._has_place = True
        if self._task.hold == "audit":
            self._log_audit(admission)
        if admission.is_held:
            self._task.log.info("This task holds %s credits until they are released.", number(self._credits))
        self._report(admission)
        return self._with_holds(admission)

    def look(self, settings: ConnectionSettings, get_usage: Callable[[], Usage]) -> GateCheck:
        """
        Assess the account again, without holding anything.

        :raises VideoDBError: if Airflow or VideoDB does not respond.
        """
        if not self.sees_holds:
            return self._without_holds(settings, get_usage())
        return self._with_holds(self._gate(settings, get_usage).look())

    def leave(self, settings: ConnectionSettings, *, keeps_place: bool = False) -> None:
        """
        Release the hold and leave the queue after a failure.

        If this fails too, other waiting gates remove the flags after the task has ended.

        :param keeps_place: whether a retry takes the place in the queue.
        """
        if self._task.hold is True:
            with suppress(VideoDBError):
                self._gate(settings, _no_usage).leave(keeps_place=keeps_place)

    def for_trigger(self) -> dict[str, Any] | None:
        """Return the trigger's JSON form; ``None`` if holds are ignored."""
        if not self.sees_holds:
            return None
        holds = self._task.hold is True
        return WaitingGate(
            holds=holds,
            holder=Identity.of(self._ti, settlement_ms=0).holder,
            try_id=try_of(self._ti.id),
            priority=self._task.priority,
            # The trigger takes the place if the check failed before this task had one.
            needs_place=holds and not self._has_place,
            decides_in_worker=bool(self._task.hold),
            respects_holds=self._task.respect_holds,
        ).to_dict()

    def _without_holds(self, settings: ConnectionSettings, usage: Usage) -> GateCheck:
        available = usage.credit_balance - settings.credit_reserve
        missing = max(Decimal(0), self._credits - available)
        return GateCheck(is_open=not missing, usage=usage, available=available, missing=missing)

    def _with_holds(self, admission: Admission) -> GateCheck:
        return GateCheck(
            is_open=admission.is_open,
            usage=admission.usage,
            available=admission.seen.available,
            missing=admission.missing,
            is_kept_by_others=not admission.is_open and admission.seen.is_kept_by_others(self._credits),
            admission=admission,
        )

    def _gate(self, settings: ConnectionSettings, get_usage: Callable[[], Usage]) -> CreditGate:
        return CreditGate(
            ti=self._ti,
            account=settings.credit_account,
            reserve=settings.credit_reserve,
            settlement_ms=settings.settlement_ms,
            credits=self._credits,
            get_usage=get_usage,
            priority=self._task.priority,
            downstream=frozenset(self._task.get_flat_relative_ids(upstream=False)),
            is_setup=self._task.is_setup,
        )

    def _report(self, admission: Admission) -> None:
        """Report each new reason; clear it after opening."""
        seen = admission.seen
        is_worth_saying = self._task.hold is True or not seen.is_open or bool(seen.counted)
        reason = admission.reason if is_worth_saying and not admission.is_open else None
        self.reason = reason
        if reason == self._said:
            return
        if reason is not None:
            log_lines(self._task.log.info, reason)
        self._said = reason
        push_reason(self._ti, reason)

    def _audit(self, settings: ConnectionSettings, usage: Usage) -> None:
        """Say what a hold would do. An audit never changes when the gate opens, not even if Airflow fails."""
        try:
            self._log_audit(self._gate(settings, lambda: usage).look())
        except VideoDBError as err:
            self._task.log.warning("Audit: what a hold would do is unknown.")
            log_lines(self._task.log.warning, without_next_step(str(err)))

    def _log_audit(self, admission: Admission) -> None:
        if admission.seen.is_next(self._credits):
            text = f"would open now and hold {number(self._credits)} credits."
        else:
            lacks = number(admission.seen.shortfall(self._credits))
            text = f"would wait now, and lack {lacks} credits. {admission.reason}"
        if text != self._audited:
            log_lines(self._task.log.info, f"Audit: with hold=True this gate {text}")
        self._audited = text


def push_reason(ti: Any, reason: str | None) -> None:
    """
    Push why a gate waits as XCom.

    The XCom is for people, so a failure is ignored.

    :param reason: ``None`` clears it.
    """
    with suppress(Exception):
        ti.xcom_push(key=WAITING_KEY, value=reason)


def _no_usage() -> Usage:
    raise RuntimeError("This gate reads no balance.")
