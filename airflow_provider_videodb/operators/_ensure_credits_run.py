"""The steps of an ``EnsureCreditsOperator`` in a worker."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_never

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, without_next_step
from airflow_provider_videodb.operators._purchase_run import PurchaseRequest, PurchaseRun, WaitRequest, task_result
from airflow_provider_videodb.operators._timeouts import (
    not_filled_error,
    not_shown_error,
    payment_timeout_error,
)
from airflow_provider_videodb.purchases.rules.candidates import describe_moment
from airflow_provider_videodb.purchases.rules.credit_wait import (
    Buy,
    CreditWait,
    NotFilled,
    NotPaid,
    NotShown,
    Proceed,
    WaitUntil,
    decide_credit_wait,
)
from airflow_provider_videodb.purchases.rules.decide import dollars_for
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


@dataclass(frozen=True, kw_only=True)
class CreditsWaitRequest(WaitRequest):
    """
    The parsed arguments that the wait of an ``EnsureCreditsOperator`` needs.

    :param settle_timeout: seconds.
    """

    credits: Decimal
    settle_timeout: float


@dataclass(frozen=True, kw_only=True)
class EnsureCreditsRequest(PurchaseRequest, CreditsWaitRequest):
    """
    The parsed arguments of an ``EnsureCreditsOperator``.

    :param usd_per_credit: US dollars.
    :param min_amount: US dollars.
    """

    usd_per_credit: Decimal
    min_amount: int
    topup: bool

    def dollars_for(self, usage: Usage) -> int:
        """Return what to buy at this balance, in whole US dollars; 0 if it suffices."""
        if usage.covers(self.credits):
            return 0
        missing = self.credits - usage.credit_balance
        return dollars_for(missing, usd_per_credit=self.usd_per_credit, min_amount=self.min_amount)


class EnsureCreditsRun(PurchaseRun[CreditsWaitRequest, EnsureCreditsRequest]):
    """Buys what is missing, and waits for the balance."""

    def start(self) -> dict[str, Any]:
        """Buy what is missing unless an earlier try did, and wait for the balance."""
        existing, usage = self.executor.load_existing(), self.hook.get_usage()
        wait = self._begin_wait(existing)
        return self._go_on(wait, usage, may_buy=self.request.topup, without_purchase="not_needed")

    def resume(self, event: object) -> dict[str, Any]:
        """Go on after the event of the trigger."""
        expected = (EventStatus.ENOUGH, EventStatus.TIMEOUT, EventStatus.PAID)
        checked = self.checked_event(event, *expected, needs="wait")
        wait, usage = CreditWait.from_dict(checked["wait"]), self.hook.get_usage()
        purchase = wait.purchase
        if purchase is not None and not usage.covers(self.waiting.credits):
            confirmed = self.executor.confirm(purchase) if purchase.paid else self.executor.reconcile(purchase)[0]
            wait = replace(wait, purchase=confirmed)
        return self._go_on(wait, usage, may_buy=False, without_purchase="filled")

    def _begin_wait(self, purchase: Purchase | None) -> CreditWait:
        return CreditWait(purchase=purchase, deadline=time.time() + self.waiting.payment_timeout)

    def _go_on(self, wait: CreditWait, usage: Usage, *, may_buy: bool, without_purchase: str) -> dict[str, Any]:
        """
        Take the next step at this balance.

        :param without_purchase: the status of the result if the task bought nothing.
        """
        waiting, has_paid = self.waiting, wait.purchase is not None and bool(wait.purchase.paid)
        self.task.has_open_checkout = not has_paid
        step = decide_credit_wait(
            wait,
            usage,
            credits=waiting.credits,
            may_buy=may_buy,
            settle_timeout=waiting.settle_timeout,
            now=time.time(),
        )
        match step:
            case Proceed():
                return self._finish(wait.purchase, usage, without_purchase=without_purchase)
            case Buy(missing=missing):
                purchase = self._buy(wait.purchase, usage, missing)
                if purchase is None:
                    # Somebody filled the account in the meantime. The credits may be used up again by now.
                    usage = self.hook.get_usage()
                    purchase = wait.purchase if usage.covers(waiting.credits) else None
                return self._go_on(self._begin_wait(purchase), usage, may_buy=False, without_purchase="filled")
            case WaitUntil(deadline=deadline):
                return self._wait(wait, deadline)
            case NotFilled():
                raise not_filled_error(usage, waiting.credits, payment_timeout=waiting.payment_timeout)
            case NotPaid(purchase=unpaid):
                raise payment_timeout_error(unpaid, payment_timeout=waiting.payment_timeout)
            case NotShown(purchase=paid):
                raise not_shown_error(paid, usage, waiting.credits, settle_timeout=waiting.settle_timeout)
            case unknown:
                assert_never(unknown)

    def _buy(self, existing: Purchase | None, usage: Usage, missing: Decimal) -> Purchase | None:
        """Return what was bought, paid or with a shared link; ``None`` if nothing is missing any more."""
        request = self.request
        if existing is None or not existing.has_effect:
            self.executor.check_per_purchase_limits(request.dollars_for(usage), currency=request.currency)
            self.task.log.info(
                "The account has %s of %s credits, so %s are missing.", usage.credit_balance, request.credits, missing
            )
        purchase = self.obtain_checkout(existing, usage, request.dollars_for, reprices=True)
        if purchase is None or purchase.paid:
            return purchase
        return self.share_link(purchase, credits_missing=to_json_number(missing))

    def _wait(self, wait: CreditWait, deadline: float) -> dict[str, Any]:
        if wait.purchase is not None and wait.purchase.paid:
            self.task.log.info(
                "%s are paid. The task waits until %s for the balance to show them, and buys nothing more.",
                wait.purchase.price_paid,
                describe_moment(datetime.fromtimestamp(deadline, UTC)),
            )
        trigger = EnsureCreditsTrigger(
            threshold=str(self.waiting.credits),
            wait=wait.to_dict(),
            videodb_conn_id=self.waiting.videodb_conn_id,
            poll_interval=self.waiting.poll_interval,
            deadline=deadline,
        )
        return self.wait(trigger, wait.purchase)

    def _finish(self, purchase: Purchase | None, usage: Usage, *, without_purchase: str) -> dict[str, Any]:
        balance = to_json_number(usage.credit_balance)
        self.task.log.info("The balance is %s credits, and the job needs %s.", balance, self.waiting.credits)
        if purchase is None:
            return task_result(status=without_purchase, balance_before=balance, balance_after=balance)
        try:
            if purchase.paid:
                purchase, left_open = self.executor.confirm(purchase), ""
            else:
                purchase, left_open = self.executor.reconcile(purchase)
        except VideoDBError as err:
            # The job needs the balance only, so it must not wait until the payment can be checked.
            left_open = without_next_step(str(err))
        if purchase.paid:
            self.log_payment(purchase)
            return task_result(purchase, status="completed", balance_after=balance)
        self.task.has_open_checkout = False
        self.task.log.warning("The account has enough credits, although this task's checkout is unpaid. %s", left_open)
        return task_result(purchase, status="pending", balance_after=balance)
