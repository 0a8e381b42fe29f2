"""The steps of a ``TopupOperator`` in a worker."""

from __future__ import annotations

import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, without_next_step
from airflow_provider_videodb.hooks.log_page import log_lines
from airflow_provider_videodb.operators._purchase_run import (
    PurchaseRequest,
    PurchaseRun,
    WaitRequest,
    read_after,
)
from airflow_provider_videodb.operators._task_result import task_result
from airflow_provider_videodb.operators._timeouts import payment_timeout_error
from airflow_provider_videodb.purchases.rules.approval_texts import describe_shortage
from airflow_provider_videodb.purchases.rules.need import Need
from airflow_provider_videodb.purchases.rules.purchase import Purchase
from airflow_provider_videodb.purchases.rules.required_action import Shortage
from airflow_provider_videodb.triggers.checkout import CheckoutTrigger
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from airflow_provider_videodb.api.models import Usage

#: How a wait may end, apart from an error.
_EVENTS = (EventStatus.PAID, EventStatus.TIMEOUT, EventStatus.REMIND)


@dataclass(frozen=True, kw_only=True)
class TopupRequest(PurchaseRequest):
    """
    The parsed arguments of a ``TopupOperator``.

    :param amount: US dollars.
    :param only_if_below: credits.
    """

    amount: int
    only_if_below: Decimal | None
    wait_for_payment: bool

    def need_at(self, usage: Usage) -> Need:
        """Return what to buy at this balance: the amount, or nothing."""
        is_enough = self.only_if_below is not None and usage.covers(self.only_if_below)
        return Need(amount=0 if is_enough else self.amount, balance=to_json_number(usage.credit_balance))


class TopupRun(PurchaseRun[WaitRequest, TopupRequest]):
    """Buys once, and waits for the payment."""

    reason = "The task buys this amount, whatever the balance is."

    def start(self) -> dict[str, Any]:
        """Buy unless an earlier try did, and wait for the payment."""
        with self.messages.on_failure():
            return self._begin()

    def _begin(self) -> dict[str, Any]:
        request, existing = self.request, self.executor.load_existing()
        if existing is not None and existing.paid:
            return self._finish(existing)
        if existing is None or not existing.has_effect:
            self.executor.check_per_purchase_limits(request.amount, currency=request.currency)
        usage = self.hook.get_usage()
        shortage = self._shortage(usage)
        if shortage is not None:
            self.reason = describe_shortage(shortage, balance=usage.credit_balance)
        read_usage = read_after(usage, self.hook.get_usage)
        purchase = self.obtain_checkout(existing, lambda: request.need_at(read_usage()), reprices=False)
        if purchase is None:
            return self._finish_without_purchase(usage)
        if purchase.paid:
            return self._finish(purchase)
        purchase = self.share_link(purchase, shortage=self._shortage(usage), waits=request.wait_for_payment)
        if not request.wait_for_payment:
            return task_result(purchase, status="pending")
        return self._wait(purchase, time.time() + self.waiting.payment_timeout, usage)

    def after_trigger(self, event: object) -> dict[str, Any]:
        """Continue after the trigger's event."""
        checked = self.checked_event(event, *_EVENTS, needs="purchase")
        purchase, deadline = Purchase.from_dict(checked["purchase"]), checked.get("deadline") or time.time()
        if checked["status"] == EventStatus.TIMEOUT:
            raise payment_timeout_error(purchase, payment_timeout=self.waiting.payment_timeout)
        if checked["status"] == EventStatus.REMIND:
            purchase = self.messages.remind(purchase, remind_at=checked.get("remind_at"))
            return self._wait(purchase, deadline, required_action=checked.get("required_action"))
        confirmed = self.executor.confirm(purchase)
        # What the trigger saw paid may be another task's checkout.
        return self._finish(confirmed) if confirmed.paid else self._wait(confirmed, deadline)

    def after_payment(self, purchase: Purchase) -> dict[str, Any]:
        """Finish, although a person cancelled."""
        return self._finish(purchase)

    def _wait(
        self,
        purchase: Purchase,
        deadline: float,
        usage: Usage | None = None,
        *,
        required_action: str | None = None,
    ) -> dict[str, Any]:
        trigger = CheckoutTrigger(
            purchase=purchase.to_dict(),
            videodb_conn_id=self.waiting.videodb_conn_id,
            poll_interval=self.waiting.poll_interval,
            deadline=deadline,
            required_action=required_action,
        )
        return self.wait(trigger, purchase, shortage=None if usage is None else self._shortage(usage))

    def _finish(self, purchase: Purchase) -> dict[str, Any]:
        self.log_payment(purchase)
        try:
            balance = to_json_number(self.hook.get_usage().credit_balance)
        except VideoDBError as err:
            # The payment is made, so the task must not fail now.
            self.task.log.warning("The balance after the payment could not be read.")
            log_lines(self.task.log.warning, without_next_step(str(err)))
            balance = None
        return task_result(purchase, status="completed", balance_after=balance)

    def _finish_without_purchase(self, usage: Usage) -> dict[str, Any]:
        self.task.log.info(
            "Nothing was bought, because the account has %s credits or more.", self.request.only_if_below
        )
        balance = to_json_number(usage.credit_balance)
        return task_result(status="not_needed", balance_before=balance, balance_after=balance)

    def _shortage(self, usage: Usage) -> Shortage | None:
        below, balance = self.request.only_if_below, usage.credit_balance
        if below is None:
            return None
        return Shortage(needed=below, available=balance, missing=max(below - balance, Decimal(0)))
