"""Waits for credits, without a worker."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBResponseError
from airflow_provider_videodb.holds.rules.messages import WAITING_KEY
from airflow_provider_videodb.hooks.arguments import parse_count, parse_credits
from airflow_provider_videodb.triggers._base import BillingTrigger, Watch
from airflow_provider_videodb.triggers._failures import FailureBudget, is_final
from airflow_provider_videodb.triggers._gates import RECHECK_EVERY, AccountView, Reports, WaitingGate, take_place
from airflow_provider_videodb.triggers._report import push_waiting
from airflow_provider_videodb.triggers.events import EventStatus, gate_result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal
    from typing import Unpack

    from airflow_provider_videodb.holds.rules.account import Assessment
    from airflow_provider_videodb.triggers._accounts import Account
    from airflow_provider_videodb.triggers._base import WaitArguments

#: Largest usage, in bytes. Each of ten thousand events holds a copy.
MAX_USAGE_BYTES = 64 * 1024


def fetch_usage(account: Account) -> AccountView:
    """
    Read balance and usage.

    :raises VideoDBResponseError: if the usage is too large for an event.
    """
    usage = account.client.get_usage()
    size = len(json.dumps(usage.to_dict()))
    if size > MAX_USAGE_BYTES:
        raise VideoDBResponseError(
            f"VideoDB's breakdown of the usage has {size} bytes, and an event has room for {MAX_USAGE_BYTES} bytes. "
            "The balance was not compared. Next step: report the response to VideoDB's support."
        )
    return AccountView(usage=usage, settings=account.settings)


def fetch_account_view(account: Account) -> AccountView:
    """
    List the holds, then read balance and usage.

    :raises VideoDBResponseError: see :func:`fetch_usage`.
    :raises VideoDBRecordUnreadableError: if Airflow cannot list the holds.
    """
    view = account.holds.list()
    read = fetch_usage(account)
    account.holds.collect(view)
    return AccountView(usage=read.usage, settings=read.settings, view=view, first=account.holds.first_in_line(view))


class CreditThresholdTrigger(BillingTrigger):
    """
    Fires when a gate may have enough credits.

    The other parameters are those of :class:`BillingTrigger`.

    :param threshold: credits, a number or a string that spells one, because templates render to strings.
    :param end_from_trigger: end the task in the triggerer instead of in a worker.
    :param soft_fail: with ``end_from_trigger``, skip the task at the deadline.
    :param gate: the JSON form of a ``WaitingGate``. ``None`` compares the balance and ignores holds.
    """

    def __init__(
        self,
        *,
        threshold: float | str,
        end_from_trigger: bool = False,
        soft_fail: bool = False,
        gate: dict[str, Any] | None = None,
        **wait: Unpack[WaitArguments],
    ) -> None:
        super().__init__(**wait)
        self.threshold = threshold
        self.end_from_trigger = end_from_trigger
        self.soft_fail = soft_fail
        self.gate = gate
        self._needed: Decimal
        self._gate: WaitingGate | None = None
        self._latest: AccountView | None = None
        self._reports = Reports()
        self._recheck_at = 0.0
        self._context: contextvars.Context | None = None
        self._reporting: set[asyncio.Task[None]] = set()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments; JSON values only."""
        path, kwargs = super().serialize()
        own = {
            "threshold": self.threshold,
            "end_from_trigger": self.end_from_trigger,
            "soft_fail": self.soft_fail,
        }
        # Without a gate, the arguments are those that the first release stored.
        return path, kwargs | own | ({} if self.gate is None else {"gate": self.gate})

    async def prepare(self) -> None:
        """Join the queue if no worker has."""
        budget = FailureBudget(allowed=parse_count("max_consecutive_failures", self.max_consecutive_failures))
        while self._gate is not None and self._gate.needs_place:
            try:
                self._gate = await take_place(
                    self._gate, self._needed, conn_id=self.videodb_conn_id, ti=self.task_instance
                )
            except VideoDBError as err:
                budget = budget.after(err)
                if budget.is_spent or is_final(err, connection_was_read=False) or self.is_overdue():
                    raise
                await asyncio.sleep(self.poll_interval)

    def watches(self) -> Sequence[Watch]:
        """Compare the available credits with the threshold."""
        self._needed = parse_credits("threshold", self.threshold)
        self._gate = None if self.gate is None else WaitingGate.from_dict(self.gate)
        self._recheck_at = time.monotonic() + RECHECK_EVERY
        self._context = contextvars.copy_context()
        return [Watch(self.fetch, self.on_account, self._forget)]

    @property
    def fetch(self) -> Any:
        """The poll of the balance that this gate shares."""
        return fetch_usage if self.gate is None else fetch_account_view

    def on_account(self, account: AccountView) -> dict[str, Any] | None:
        """Return the event if this gate may open."""
        self._latest = account
        if self._gate is None or account.view is None:
            available = account.usage.credit_balance - account.settings.credit_reserve
            return self._event(EventStatus.ENOUGH) if available >= self._needed else None
        may_open = self._gate.may_open(self._needed, account, account.view)
        is_due = self._gate.has_earlier_hold(account.view) and time.monotonic() >= self._recheck_at
        if may_open or is_due:
            return self._event(EventStatus.MAY_OPEN if self._gate.decides_in_worker else EventStatus.ENOUGH)
        if self._reports.may_report(waiting=len(account.view.queue), now=time.monotonic()):
            claim = self._gate.claim(self._needed, account.settings)
            self._report(self._gate, account, claim.assess(account.view, account.usage.credit_balance))
        return None

    def event_payload(self) -> dict[str, Any]:
        """Return the latest usage, available credits and reason."""
        latest, gate = self._latest, self._gate
        if latest is None:
            return {"usage": None}
        available, reason = latest.usage.credit_balance - latest.settings.credit_reserve, None
        if gate is not None and latest.view is not None:
            claim = gate.claim(self._needed, latest.settings)
            seen = claim.assess(latest.view, latest.usage.credit_balance)
            available, reason = seen.available, gate.describe_wait(self._needed, latest, seen)
        return {
            "usage": latest.usage.to_dict(),
            "available": to_json_number(available),
            "reason": reason,
            "deadline": self.deadline_now(),
        }

    def to_trigger_event(self, event: dict[str, Any]) -> TriggerEvent:
        """End the task here if wanted and possible."""
        if self.end_from_trigger and event["status"] == EventStatus.ENOUGH:
            xcoms: dict[str, Any] = {"return_value": gate_result(event)}
            if self._gate is not None:
                xcoms[WAITING_KEY] = None
            return TaskSuccessEvent(xcoms=xcoms)
        if self.end_from_trigger and self.soft_fail and event["status"] == EventStatus.TIMEOUT:
            return TaskSkippedEvent()
        return super().to_trigger_event(event)

    def _event(self, status: EventStatus) -> dict[str, Any]:
        return {"status": status, **self.event_payload()}

    def _report(self, gate: WaitingGate, account: AccountView, seen: Assessment) -> None:
        text = gate.describe_wait(self._needed, account, seen)
        if not self._reports.is_news(text or "", waiting=seen.waiting, now=time.monotonic()) or text is None:
            return
        # The poll runs in an empty context, and Airflow finds a trigger's log by its context.
        report = asyncio.get_running_loop().create_task(self._say(text), context=self._context)
        self._reporting.add(report)
        report.add_done_callback(self._reporting.discard)

    async def _say(self, text: str) -> None:
        self.log.info("%s", text)
        with suppress(VideoDBError):
            await push_waiting(self.task_instance, text)

    def _forget(self) -> None:
        self._latest = None
