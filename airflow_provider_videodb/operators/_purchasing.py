"""Base class of the operators that buy credits."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.hooks.arguments import (
    parse_approvers,
    parse_dollar_line,
    parse_dollars,
    parse_flag,
    parse_list,
    parse_optional_seconds,
    parse_seconds,
    parse_text,
    parse_url,
)
from airflow_provider_videodb.links.checkout import PAYMENT_URL_KEY, CheckoutLink
from airflow_provider_videodb.operators._arguments import RejectsEmptyTemplates, fail_without_retry
from airflow_provider_videodb.version_compat import TaskDeferred

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.hooks.arguments import Approver
    from airflow_provider_videodb.operators._arguments import Credits, Dollars, NotGiven, Text
    from airflow_provider_videodb.purchases.rules.approval_texts import ApprovalRequest
    from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentRequest
    from airflow_provider_videodb.triggers._base import BillingTrigger

#: Airflow ends a deferral this much after our own deadline, in case the triggerer cannot.
_BACKSTOP = timedelta(seconds=60)
#: The arguments that a task needs when it resumes.
WAIT_ARGUMENTS = ("payment_timeout", "poll_interval", "remind_every", "deferrable", "videodb_conn_id")


class Run(Protocol):
    """What a worker does for an operator; its module is loaded when the task runs."""

    def start(self) -> dict[str, Any]:
        """Begin, and return the result of the task."""
        ...

    def resume(self, event: object) -> dict[str, Any]:
        """Continue after the trigger's event, and return the result."""
        ...

    def respond(self, event: object) -> dict[str, Any]:
        """Continue after the response to an approval request, and return the result."""
        ...


class PurchasingOperator(RejectsEmptyTemplates):
    """
    Base of the operators that buy credits; they document its arguments.

    :meta private:
    """

    template_fields: Sequence[str] = (
        "currency",
        "redirect_url",
        "max_amount",
        "approval_above",
        "videodb_conn_id",
    )
    operator_extra_links = (CheckoutLink(),)
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        currency: Text | None,
        redirect_url: Text | None,
        payment_timeout: timedelta | float,
        poll_interval: timedelta | float,
        max_amount: Dollars | NotGiven,
        approval: bool,
        approval_above: Credits | NotGiven,
        approvers: Sequence[Approver] | None,
        notifiers: Sequence[BaseNotifier],
        remind_every: timedelta | float | None,
        deferrable: bool,
        videodb_conn_id: Text,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.currency = self.templated("currency", currency, parse_text, may_be_none=True)
        self.redirect_url = self.templated("redirect_url", redirect_url, parse_url, may_be_none=True)
        self.payment_timeout = self.plain("payment_timeout", payment_timeout, parse_seconds)
        self.poll_interval = self.plain("poll_interval", poll_interval, parse_seconds)
        self.max_amount = self.templated("max_amount", max_amount, parse_dollars)
        self.approval = self.plain("approval", approval, parse_flag)
        self.approval_above = self.templated("approval_above", approval_above, parse_dollar_line)
        self.approvers = self.plain("approvers", approvers, parse_approvers)
        self.notifiers = self.plain("notifiers", notifiers, parse_list)
        self.remind_every = self.plain("remind_every", remind_every, parse_optional_seconds)
        with self._fail_mapped_task():
            self._reject_reminders_to_nobody()
        self.deferrable = self.plain("deferrable", deferrable, parse_flag)
        self.videodb_conn_id = self.templated("videodb_conn_id", videodb_conn_id, parse_text)
        #: For the templates of notifiers: the payment link, and everything else about the payment.
        self.payment_url: str | None = None
        self.payment: PaymentRequest | None = None
        #: What a person is asked to approve, before there is a payment.
        self.approval_request: ApprovalRequest | None = None
        #: ``False`` once this try has seen that nobody has to or can pay its link. Hides the button.
        self.has_open_checkout = True
        self.is_stopped = False
        #: The error that people have been told of.
        self.ended_by: BaseException | None = None
        self._holds_worker = False
        self._describe_open: Callable[[], str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Buy what is missing, and wait."""
        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            self.push_link(context, None)
            return self._start(context).start()

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Continue after the trigger; an unexpected event fails the task."""
        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            return self._resume(context).resume(event)

    def execute_response(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Continue after a response or none; only an approval buys."""
        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            return self._start(context).respond(event)

    def on_kill(self) -> None:
        """
        Stop buying, and log what can still be paid.

        Airflow calls this at any point of the task and lets the task run on for seconds. So no exception may escape.
        Airflow itself must not be asked anything, because its response could be taken for that to a request under way.
        """
        self.is_stopped = True
        if self._describe_open is None:
            return
        try:
            self.log.warning(self._describe_open())
        except Exception:
            self.log.exception("VideoDB did not say what can still be paid.")
            self.log.warning("Next step: check the open checkouts there.")

    def _reject_reminders_to_nobody(self) -> None:
        """
        Refuse ``remind_every`` without a notifier that has a text for reminders.

        :raises VideoDBConfigError: names the argument and its value.
        """
        if self.remind_every is None:
            return
        from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier

        if not any(isinstance(notifier, PaymentRequestNotifier) for notifier in self.notifiers):
            raise VideoDBConfigError(
                f"remind_every is {self.remind_every!r}, but no notifier is a PaymentRequestNotifier, so nobody would "
                "be reminded. Nothing was bought. Next step: wrap a notifier in PaymentRequestNotifier, or remove "
                "remind_every."
            )

    def push_link(self, context: Context, url: str | None) -> None:
        """Push the link for the button; ``None`` keeps Airflow from logging that the XCom is missing."""
        self.payment_url = url
        context["ti"].xcom_push(key=PAYMENT_URL_KEY, value=url)

    def wait(
        self,
        trigger: BillingTrigger,
        context: Context,
        *,
        deferrable: bool,
        describe_open: Callable[[], str] | None,
    ) -> dict[str, Any]:
        """
        Run the trigger in the triggerer, or in this worker if the task is not deferrable.

        :param describe_open: says what can still be paid, for a worker that is killed while it waits. It asks VideoDB
            only.
        """
        if not deferrable:
            self._describe_open = describe_open
        if deferrable or self._holds_worker:
            remaining = timedelta(seconds=max(0.0, (trigger.deadline or 0.0) - time.time()))
            # A trigger checks its deadline once per poll.
            backstop = _BACKSTOP + timedelta(seconds=trigger.poll_interval)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=remaining + backstop)
        self._holds_worker = True
        while True:
            # The trigger tells Airflow why this task waits.
            trigger.task_instance = context["ti"]  # type: ignore[assignment]  # Airflow names the triggerer's class only
            event = asyncio.run(_first_event(trigger))
            try:
                return self._resume(context).resume(event)
            except TaskDeferred as deferred:
                if deferred.method_name != "execute_complete":
                    # The task asks a person, and no worker waits for that.
                    raise
                # The task has to wait again. The loop runs the next trigger, so that the stack does not grow.
                trigger = deferred.trigger

    def _start(self, context: Context) -> Run:
        """Parse all arguments, and return what buys and waits."""
        raise NotImplementedError

    def _resume(self, context: Context) -> Run:
        """Parse the arguments of the wait, and return what follows it."""
        raise NotImplementedError


async def _first_event(trigger: BillingTrigger) -> Any:
    async for event in trigger.run():
        return event.payload
    return None
