"""
What a worker does for an operator that buys credits.

The operators import this module when they run, so that parsing a DAG file does not load it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow.configuration import conf

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.exceptions import (
    VideoDBCheckoutExpiredError,
    VideoDBConfigError,
    VideoDBError,
    VideoDBNoConnectionError,
    VideoDBRecordNotKeptError,
    VideoDBRecordUnreadableError,
)
from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
from airflow_provider_videodb.hooks.log_page import log_lines
from airflow_provider_videodb.hooks.videodb import unlimited_client
from airflow_provider_videodb.links.paid_page import paid_page
from airflow_provider_videodb.operators._approval_run import ApprovalDesk, AsksForApproval
from airflow_provider_videodb.operators._messages import PaymentMessages
from airflow_provider_videodb.operators._required_action import paid_before_cancel, show_payment
from airflow_provider_videodb.purchases.claims import TaskClaims, VariableClaims
from airflow_provider_videodb.purchases.current_try import CurrentTry
from airflow_provider_videodb.purchases.executor import PurchaseExecutor
from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.rules.required_action import read_response
from airflow_provider_videodb.purchases.rules.tracking import describe_open_payment
from airflow_provider_videodb.purchases.stores import open_store, task_identity
from airflow_provider_videodb.triggers.events import checked_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.operators._purchasing import PurchasingOperator
    from airflow_provider_videodb.purchases.rules.need import Need
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from airflow_provider_videodb.purchases.rules.required_action import Response, Shortage
    from airflow_provider_videodb.triggers._base import BillingTrigger
    from airflow_provider_videodb.triggers._required_action import ActionState
    from airflow_provider_videodb.triggers.events import EventStatus


@dataclass(frozen=True, kw_only=True)
class WaitRequest:
    """
    The parsed arguments that a wait needs.

    :param payment_timeout: seconds.
    :param poll_interval: seconds.
    :param remind_every: seconds; ``None`` sends no reminders.
    """

    payment_timeout: float
    poll_interval: float
    remind_every: float | None
    deferrable: bool
    videodb_conn_id: str


@dataclass(frozen=True, kw_only=True)
class PurchaseRequest(WaitRequest):
    """
    The parsed arguments that all purchasing operators have.

    :param max_amount: US dollars.
    :param approval_above: US dollars.
    :param approvers: Airflow's users, by id and name.
    """

    currency: str | None
    redirect_url: str | None
    max_amount: int | None
    approval: bool
    approval_above: Decimal | None
    approvers: Sequence[dict[str, str]]
    notifiers: Sequence[BaseNotifier]


WaitT = TypeVar("WaitT", bound=WaitRequest)
RequestT = TypeVar("RequestT", bound=PurchaseRequest)
ValueT = TypeVar("ValueT")


class PurchaseRun(AsksForApproval, Generic[WaitT, RequestT]):
    """
    What the runs of all purchasing operators share.

    A run lasts until the task waits, or from the event of its trigger on. It reads the connection once.

    :param waiting: the parsed arguments of the wait.
    :param request: all parsed arguments; ``None`` for a task that resumes. One that has bought needs none of them. A
        template that broke during the wait must not hide the payment.
    """

    def __init__(
        self, task: PurchasingOperator, context: Context, waiting: WaitT, request: RequestT | None = None
    ) -> None:
        self.task = task
        self.context = context
        self.waiting = waiting
        self._request = request
        self.hook = VideoDBBillingHook(waiting.videodb_conn_id)

    @property
    def request(self) -> RequestT:
        """The arguments of the purchase, for a task that starts."""
        if self._request is None:
            raise VideoDBConfigError("A task that resumes has no arguments of a purchase. Nothing was sent.")
        return self._request

    @cached_property
    def executor(self) -> PurchaseExecutor:
        """The executor of this task instance's one purchase."""
        settings = self.hook.settings
        current_try = CurrentTry(self.context["ti"], is_stopped=lambda: self.task.is_stopped)
        identity = task_identity(self.context)
        return PurchaseExecutor(
            api=unlimited_client(settings),
            journal=Journal(open_store(self.context), current_try),
            claims=TaskClaims(VariableClaims(), identity),
            current_try=current_try,
            limits=replace(settings.limits, max_amount=None if self._request is None else self._request.max_amount),
            identity=identity,
            account=settings.fingerprint,
            post_timeout=settings.post_timeout,
            paid_page=paid_page(conf.get("api", "base_url", fallback=None)),
            policy=self.approval_policy(self._request),
            ask=self.ask,
        )

    @property
    def desk(self) -> ApprovalDesk:
        """The desk that asks the approver."""
        timeout, approvers = self.waiting.payment_timeout, self.request.approvers
        ti = self.context["ti"]
        return ApprovalDesk(task=self.task, ti=ti, executor=self.executor, timeout=timeout, approvers=approvers)

    def checked_event(self, event: object, *expected: EventStatus, needs: str) -> dict[str, Any]:
        """Return the trigger's event, or raise its error. An expired checkout hides the button."""
        try:
            return checked_event(event, *expected, needs=(needs,))
        except VideoDBCheckoutExpiredError:
            self.task.has_open_checkout = False
            raise
        except VideoDBError:
            with suppress(VideoDBError):
                self._log_shared_link(self.executor.load_existing())
            raise

    def _log_shared_link(self, purchase: Purchase | None) -> None:
        """Say what a wait that failed leaves behind, because a new DAG run would buy again."""
        if purchase is not None and purchase.link_shared and not purchase.paid:
            self.task.log.warning("Checkout %s for %s may still be paid.", purchase.checkout_id, purchase.price)
            self.task.log.warning("A retry or a clear waits for it. A new DAG run would buy again.")

    def take_request(self, request: RequestT) -> None:
        """Buy with these arguments, in a task that resumes."""
        self._request = request
        # An executor that was made before knows nothing of max_amount.
        self.__dict__.pop("executor", None)

    def obtain_checkout(
        self, existing: Purchase | None, assess: Callable[[], Need], *, reprices: bool
    ) -> Purchase | None:
        """
        Return the purchase of this task instance, paid or with a link.

        :param existing: what earlier tries bought.
        :param assess: returns what the account needs. The executor asks again before each further POST.
        :return: ``None`` if nothing is needed any longer.
        """
        return self.executor.obtain_checkout(
            existing,
            assess,
            currency=self.request.currency,
            redirect_url=self.request.redirect_url,
            reprices=reprices,
        )

    @cached_property
    def messages(self) -> PaymentMessages:
        """What the notifiers say about the purchase."""
        return PaymentMessages(
            task=self.task,
            context=self.context,
            hook=self.hook,
            get_executor=lambda: self.executor,
            remind_every=self.waiting.remind_every,
        )

    def share_link(self, purchase: Purchase, *, shortage: Shortage | None, waits: bool = True) -> Purchase:
        """
        Show the link, and call the notifiers that have not been called for it yet.

        :param shortage: why the task buys, for the person who pays.
        :param waits: whether the task waits for the payment.
        """
        self.task.push_link(self.context, purchase.payment_url)
        # The link is logged first and on a short line, because a log page cuts off long ones.
        self.task.log.info("Pay %s here: %s", purchase.price, purchase.payment_url)
        self.task.log.info(
            "The link belongs to checkout %s (id from the %s).", purchase.checkout_id, purchase.id_source
        )
        return self.messages.request(purchase, shortage=shortage, waits=waits)

    def resume(self, event: object) -> dict[str, Any]:
        """Continue after the trigger's event or a person's response."""
        with self.messages.on_failure():
            response = read_response(event)
            return self.after_trigger(event) if response is None else self._after_response(response)

    def after_trigger(self, event: object) -> dict[str, Any]:
        """Continue after the trigger's event."""
        raise NotImplementedError

    def after_payment(self, purchase: Purchase) -> dict[str, Any]:
        """Continue with a purchase that was paid before *Cancel*."""
        raise NotImplementedError

    def wait(
        self, trigger: BillingTrigger, purchase: Purchase | None, *, shortage: Shortage | None = None
    ) -> dict[str, Any]:
        """
        Wait for the trigger, and return the result of the task.

        While somebody can pay, the task shows a payment request. A worker that waits itself could not read the
        response, so it shows none.

        :param trigger: knows what a reminder interrupted. Showing that request again would remove a response to it.
        :param shortage: why the task buys, for the person who pays.
        """
        trigger.remind_at = self.messages.next_reminder(purchase)
        describe_open = None
        if purchase is not None:
            # A task that was resumed for a reminder waits on, although it cannot read its record or the connection.
            with suppress(VideoDBRecordUnreadableError, VideoDBRecordNotKeptError, VideoDBNoConnectionError):
                if not self.waiting.deferrable:
                    describe_open = self._prepare_description(purchase)
                elif trigger.required_action is None:
                    trigger.required_action = self._show_payment(purchase, shortage)
        return self.task.wait(trigger, self.context, deferrable=self.waiting.deferrable, describe_open=describe_open)

    def _show_payment(self, purchase: Purchase, shortage: Shortage | None) -> ActionState | None:
        self.executor.load_existing()
        if self.executor.journal.approval.asked is not None:
            # Airflow keeps one request per task. Showing the payment would open the approval again.
            return None
        return show_payment(self.executor, self.context["ti"], purchase, shortage, self.task.log)

    def log_payment(self, purchase: Purchase) -> None:
        """Log what was paid, and warn if it is not what the link was for."""
        self.task.has_open_checkout = False
        self.task.log.info("Checkout %s for %s is paid.", purchase.paid[0], purchase.price_paid)
        self.messages.paid(purchase)
        if len(purchase.paid) > 1:
            log_lines(
                self.task.log.error,
                f"{len(purchase.paid)} checkouts of this task were paid: {', '.join(purchase.paid)}. Another task may "
                "report one of them as its own. Next step: check in VideoDB's console which of them this DAG run "
                "needs, then ask VideoDB's support to refund the rest.",
            )
        elif purchase.link_shared and purchase.paid[0] != purchase.checkout_id:
            log_lines(
                self.task.log.warning,
                "An earlier checkout of this task was paid. Next step: do not also pay checkout "
                f"{purchase.checkout_id}: {purchase.payment_url}",
            )

    def _after_response(self, response: Response) -> dict[str, Any]:
        """Continue if the payment came first; otherwise end the task."""
        self.task.has_open_checkout = False
        return self.after_payment(paid_before_cancel(self.executor, response, self.task.log))

    def _prepare_description(self, purchase: Purchase) -> Callable[[], str]:
        """Return a function that describes the open payment and asks only VideoDB."""
        # This client does not retry, because Airflow kills the process within seconds.
        client = self.hook.get_poll_client()
        return lambda: describe_open_payment(purchase, by_id(client.list_checkouts()), now=datetime.now(UTC))


def read_after(just_read: ValueT, read: Callable[[], ValueT]) -> Callable[[], ValueT]:
    """Return a function that returns what was just read, and reads anew from the second call on."""
    unused = [just_read]
    return lambda: unused.pop() if unused else read()
