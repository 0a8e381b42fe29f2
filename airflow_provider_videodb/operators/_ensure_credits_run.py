"""The steps of an ``EnsureCreditsOperator`` in a worker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBTryOverError, is_permanent, without_next_step
from airflow_provider_videodb.hooks.log_page import log_lines
from airflow_provider_videodb.operators._approval_run import RESUME_METHOD, is_late_response
from airflow_provider_videodb.operators._credit_gate import TaskGate
from airflow_provider_videodb.operators._ensure_credits_request import CreditsWaitRequest, EnsureCreditsRequest
from airflow_provider_videodb.operators._purchase_run import PurchaseRun, read_after
from airflow_provider_videodb.operators._task_result import task_result
from airflow_provider_videodb.operators._timeouts import credit_wait_error
from airflow_provider_videodb.purchases.rules.approval_texts import describe_shortage
from airflow_provider_videodb.purchases.rules.candidates import describe_moment
from airflow_provider_videodb.purchases.rules.credit_wait import (
    Buy,
    CreditWait,
    Gate,
    Proceed,
    WaitUntil,
    decide_credit_wait,
)
from airflow_provider_videodb.purchases.rules.notifier_payment import shortage_of
from airflow_provider_videodb.triggers._required_action import ActionState
from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger
from airflow_provider_videodb.triggers.events import EventStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_videodb.operators._credit_gate import GateCheck
    from airflow_provider_videodb.operators.ensure_credits import EnsureCreditsOperator
    from airflow_provider_videodb.purchases.rules.approval_record import Ask
    from airflow_provider_videodb.purchases.rules.need import Need
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: How a wait may end, apart from an error.
_EVENTS = (
    *(EventStatus.ENOUGH, EventStatus.MAY_OPEN, EventStatus.SHORT),
    *(EventStatus.PAID, EventStatus.TIMEOUT, EventStatus.REMIND),
)

#: What a task waits for after the payment, for the person who paid.
_BALANCE = "VideoDB's balance shows the credits, which may take 15 minutes"
_OTHERS = "other pipelines release credits"


class EnsureCreditsRun(PurchaseRun[CreditsWaitRequest, EnsureCreditsRequest]):
    """
    Buys missing credits, and waits until the gate opens.

    :param parse_request: parses all arguments, for a task that buys after it has resumed.
    """

    task: EnsureCreditsOperator

    def __init__(
        self,
        task: EnsureCreditsOperator,
        context: Context,
        waiting: CreditsWaitRequest,
        request: EnsureCreditsRequest | None = None,
        *,
        parse_request: Callable[[], EnsureCreditsRequest],
    ) -> None:
        super().__init__(task, context, waiting, request)
        self._parse_request = parse_request

    @cached_property
    def _gate(self) -> TaskGate:
        # A task without a request has waited.
        has_waited = self._request is None or self.has_asked
        return TaskGate(self.task, self.context, self.waiting.credits, has_waited=has_waited)

    def park(self, ask: Ask, *, may_have_response: bool) -> NoReturn:
        """
        End this run of the task until there is a response.

        A gate in the queue waits in the triggerer. Its gate opens as soon as the credits are there, so that those
        behind it do not wait for the response.
        """
        if self.task.hold is True and self.waiting.deferrable:
            until = datetime.fromisoformat(ask.until).timestamp()
            wait = CreditWait(purchase=None, deadline=until)
            self.task.defer(
                trigger=self._trigger(wait, until, gate=self._gate.for_trigger(), action=ActionState.OPEN),
                method_name=RESUME_METHOD,
                timeout=timedelta(seconds=max(0.0, until - time.time()) + self.waiting.poll_interval + 60),
            )
        if self.task.hold is True:
            # Without a triggerer, nobody sees when the gate may open. So others do not wait behind it.
            self._gate.leave(self.hook.settings)
        super().park(ask, may_have_response=may_have_response)

    def respond(self, event: object) -> dict[str, Any]:
        """Continue after a response, or after an event of the trigger that watched the gate meanwhile."""
        with self._leaving_queue_on_failure():
            if isinstance(event, Mapping) and "status" in event:
                status = self.checked_event(event, *_EVENTS, needs="wait")["status"]
                if status != EventStatus.TIMEOUT:
                    self.has_asked = True
                    return self.start()
                event = {"timedout": True}
            return super().respond(event)

    def start(self) -> dict[str, Any]:
        """
        Buy what is missing, and wait until the gate opens.

        A try buys nothing if an earlier one did.
        """
        nothing = "filled" if self.has_asked else "not_needed"
        with self._leaving_queue_on_failure(), self.messages.on_failure():
            existing, check = self.executor.load_existing(), self._check()
            wait = self._begin_wait(existing, buys_if_short=self.request.topup)
            return self._go_on(wait, check, may_buy=self.request.topup, without_purchase=nothing)

    def resume(self, event: object) -> dict[str, Any]:
        """Continue after the trigger's event or a person's response."""
        with self._leaving_queue_on_failure():
            if is_late_response(event, lambda: self.executor):
                # The gate has waited for others, and its request was still open.
                self.take_request(self._parse_request())
                return self.respond(event)
            return super().resume(event)

    def after_trigger(self, event: object) -> dict[str, Any]:
        """Check the gate again after the trigger's event."""
        checked = self.checked_event(event, *_EVENTS, needs="wait")
        wait = CreditWait.from_dict(checked["wait"])
        if checked["status"] == EventStatus.REMIND and wait.purchase is not None:
            return self._remind(wait, wait.purchase, checked)
        check, may_buy = self._check(), False
        if wait.purchase is not None and not check.is_open:
            wait = replace(wait, purchase=self._confirmed(wait.purchase))
        elif wait.may_buy and check.missing and time.time() < wait.deadline:
            self.take_request(self._parse_request())
            # The DAG author may have changed topup meanwhile.
            may_buy = self.request.topup
            wait = replace(wait, purchase=self.executor.load_existing(), buys_if_short=may_buy)
        return self._go_on(wait, check, may_buy=may_buy, without_purchase="filled")

    def after_payment(self, purchase: Purchase) -> dict[str, Any]:
        """Wait for the balance to show the payment, although a person cancelled."""
        return self._go_on(self._begin_wait(purchase), self._check(), may_buy=False, without_purchase="filled")

    def _remind(self, wait: CreditWait, purchase: Purchase, told: dict[str, Any]) -> dict[str, Any]:
        """Remind people, and wait on without a check of the gate."""
        shortage = shortage_of(self.waiting.credits, told.get("available"))
        purchase = self.messages.remind(purchase, remind_at=told.get("remind_at"), shortage=shortage)
        trigger = self._trigger(replace(wait, purchase=purchase), wait.deadline, gate=told.get("gate"))
        trigger.required_action = told.get("required_action")
        return self.wait(trigger, purchase, shortage=shortage)

    @contextmanager
    def _leaving_queue_on_failure(self) -> Iterator[None]:
        """
        Release the hold and leave the queue on an error.

        If a retry follows, it takes the place in the queue.
        """
        try:
            yield
        except Exception as err:
            if self.task.hold is not True:
                raise
            ti = self.context["ti"]
            is_retried = ti.try_number <= ti.max_tries and not (isinstance(err, VideoDBError) and is_permanent(err))
            # A try that is over must not take the place of the newer one.
            keeps_place = is_retried or isinstance(err, VideoDBTryOverError)
            with suppress(VideoDBError):
                self._gate.leave(self.hook.settings, keeps_place=keeps_place)
            raise

    def _check(self) -> GateCheck:
        return self._gate.check(self.hook.settings, self.hook.get_usage)

    def _look(self) -> GateCheck:
        return self._gate.look(self.hook.settings, self.hook.get_usage)

    def _confirmed(self, purchase: Purchase) -> Purchase:
        return self.executor.confirm(purchase) if purchase.paid else self.executor.reconcile(purchase)[0]

    def _begin_wait(self, purchase: Purchase | None, *, buys_if_short: bool = False) -> CreditWait:
        deadline = time.time() + self.waiting.payment_timeout
        return CreditWait(purchase=purchase, deadline=deadline, buys_if_short=buys_if_short)

    def _go_on(self, wait: CreditWait, check: GateCheck, *, may_buy: bool, without_purchase: str) -> dict[str, Any]:
        """
        Take the next step after this check of the gate.

        :param without_purchase: the status of the result if the task bought nothing.
        """
        self.task.has_open_checkout = wait.purchase is None or not wait.purchase.paid
        step = decide_credit_wait(
            wait,
            Gate(is_open=check.is_open, missing=check.missing, is_kept_by_others=check.is_kept_by_others),
            may_buy=may_buy,
            settle_timeout=self.waiting.settle_timeout,
            now=time.time(),
        )
        match step:
            case Proceed():
                return self._finish(wait.purchase, check, without_purchase=without_purchase)
            case Buy():
                purchase = self._buy(wait.purchase, check)
                if purchase is None:
                    # The account was filled in the meantime. The credits may be used up again by now.
                    check = self._check()
                    wait = replace(wait, purchase=wait.purchase if check.is_open else None)
                else:
                    wait = self._begin_wait(purchase, buys_if_short=wait.buys_if_short)
                return self._go_on(wait, check, may_buy=False, without_purchase="filled")
            case WaitUntil(deadline=deadline, recheck_at=recheck_at):
                return self._wait(replace(wait, recheck_at=recheck_at), check, deadline)
            case failure:
                raise credit_wait_error(failure, check.usage, self.waiting, reason=self._gate.reason or "")

    def _buy(self, existing: Purchase | None, check: GateCheck) -> Purchase | None:
        """
        Return the purchase, paid or with a shared link.

        :return: ``None`` if nothing is missing any longer.
        """
        request, read = self.request, read_after(check, self._look)
        assessed = [check]

        def assess() -> Need:
            assessed[0] = seen = read()
            self.reason = describe_shortage(seen.shortage(request.credits), balance=seen.usage.credit_balance)
            return request.need_at(seen)

        if check.missing and (existing is None or not existing.has_effect):
            self.executor.check_per_purchase_limits(request.dollars_for(check.missing), currency=request.currency)
            balance = check.usage.credit_balance
            self.task.log.info("The job needs %s credits, and the account has %s.", request.credits, balance)
            self.task.log.info("Of these, %s are available, so %s are missing.", check.available, check.missing)
        purchase = self.obtain_checkout(existing, assess, reprices=True)
        if purchase is None or purchase.paid:
            return purchase
        return self.share_link(purchase, shortage=assessed[0].shortage(request.credits))

    def _wait(self, wait: CreditWait, check: GateCheck, deadline: float) -> dict[str, Any]:
        if wait.purchase is not None and wait.purchase.paid:
            self.task.log.info("%s are paid, and the task buys nothing more.", wait.purchase.price_paid)
            self.task.log.info(
                "It waits until %s for %s.",
                describe_moment(datetime.fromtimestamp(deadline, UTC)),
                "the balance to show them" if wait.recheck_at is None else "others to release credits",
            )
            self.messages.paid(wait.purchase, waits_for=_BALANCE if wait.recheck_at is None else _OTHERS)
        trigger = self._trigger(wait, deadline, gate=self._gate.for_trigger())
        return self.wait(trigger, wait.purchase, shortage=check.shortage(self.waiting.credits))

    def _trigger(
        self, wait: CreditWait, deadline: float, *, gate: dict[str, Any] | None, action: ActionState | None = None
    ) -> EnsureCreditsTrigger:
        return EnsureCreditsTrigger(
            threshold=str(self.waiting.credits),
            gate=gate,
            wait=wait.to_dict(),
            videodb_conn_id=self.waiting.videodb_conn_id,
            poll_interval=self.waiting.poll_interval,
            deadline=deadline,
            required_action=action,
        )

    def _finish(self, purchase: Purchase | None, check: GateCheck, *, without_purchase: str) -> dict[str, Any]:
        balance = to_json_number(check.usage.credit_balance)
        self.task.log.info("The balance is %s credits, and the job needs %s.", balance, self.waiting.credits)
        if purchase is None:
            result = task_result(status=without_purchase, balance_before=balance, balance_after=balance)
            return result | check.to_dict()
        try:
            if purchase.paid:
                purchase, left_open = self.executor.confirm(purchase), ""
            else:
                purchase, left_open = self.executor.reconcile(purchase)
        except VideoDBError as err:
            # The credits are there, so the job must not wait until the payment can be checked.
            left_open = without_next_step(str(err))
        if purchase.paid:
            self.log_payment(purchase)
            return task_result(purchase, status="completed", balance_after=balance) | check.to_dict()
        self.task.has_open_checkout = False
        self.task.log.warning("The account has enough credits, although this task's checkout is unpaid.")
        log_lines(self.task.log.warning, left_open)
        self.messages.not_needed(purchase)
        return task_result(purchase, status="pending", balance_after=balance) | check.to_dict()
