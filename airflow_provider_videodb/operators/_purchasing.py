"""What the operators that buy have in common: one purchase, a link for a person, a wait without a worker."""

from __future__ import annotations

import asyncio
import copy
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import (
    in_words,
    parse_dollars,
    parse_flag,
    parse_list,
    parse_seconds,
    parse_text,
    parse_url,
)
from airflow_provider_videodb.links.checkout import PAYMENT_URL_KEY, CheckoutLink
from airflow_provider_videodb.operators._arguments import RejectsEmptyTemplates
from airflow_provider_videodb.version_compat import TaskDeferred

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.operators._arguments import Dollars, NotGiven, Text
    from airflow_provider_videodb.purchases.executor import Need, PurchaseExecutor
    from airflow_provider_videodb.purchases.rules.payment_request import PaymentRequest
    from airflow_provider_videodb.purchases.rules.purchase import Purchase
    from airflow_provider_videodb.triggers._base import BillingTrigger
    from airflow_provider_videodb.triggers.events import EventStatus

#: How much later than our own deadline Airflow's may end a deferral, in case the triggerer cannot.
_BACKSTOP = timedelta(seconds=60)


class PurchasingOperator(RejectsEmptyTemplates):
    """
    Base of the operators that buy credits; its arguments are described there.

    :meta private:
    """

    template_fields: Sequence[str] = ("currency", "redirect_url", "max_amount", "videodb_conn_id")
    operator_extra_links = (CheckoutLink(),)
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        currency: Text | None,
        redirect_url: Text | None,
        payment_timeout: timedelta | float,
        poll_interval: float,
        max_amount: Dollars | NotGiven,
        notifiers: Sequence[BaseNotifier],
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
        self.notifiers = self.plain("notifiers", notifiers, parse_list)
        self.deferrable = self.plain("deferrable", deferrable, parse_flag)
        self.videodb_conn_id = self.templated("videodb_conn_id", videodb_conn_id, parse_text)
        #: The payment link, and all else that there is to say of the payment, for the notifiers' templates.
        self.payment_url: str | None = None
        self.payment: PaymentRequest | None = None
        #: ``False`` once this try has seen that its link need not or cannot be paid any more. Hides the button.
        self.has_open_checkout = True
        self._waiting_for: Purchase | None = None
        self._holds_worker = False
        self._is_stopped = False
        self._last_look: Callable[[Purchase], str] | None = None

    def on_kill(self) -> None:
        """
        Buy nothing more, and say what remains payable.

        Airflow calls this in the midst of whatever the task is doing and lets it run on. So nothing may escape here,
        and Airflow is asked nothing: its answer could be taken for that to a question under way.
        """
        self._is_stopped = True
        if self._waiting_for is None or self._last_look is None:
            return
        try:
            self.log.warning(self._last_look(self._waiting_for))
        except Exception:
            self.log.exception("What remains payable could not be read from VideoDB")

    def check_common_arguments(self) -> None:
        """
        Check, before anything is sent, what the purchase and the wait will need.

        :raises VideoDBConfigError: naming the argument, its value and the rule.
        """
        from airflow_provider_videodb.hooks.arguments import (
            parse_dollars,
            parse_flag,
            parse_list,
            parse_seconds,
            parse_text,
            parse_url,
        )

        self.reject_empty()
        parse_flag("deferrable", self.deferrable)
        parse_list("notifiers", self.notifiers)
        if self.currency is not None:
            parse_text("currency", self.currency)
        parse_seconds("payment_timeout", self.payment_timeout)
        parse_seconds("poll_interval", self.poll_interval)
        if self.max_amount is not None:
            parse_dollars("max_amount", self.max_amount)
        if self.redirect_url is not None:
            parse_url("redirect_url", self.redirect_url)

    def purchase_executor(self, context: Context) -> PurchaseExecutor:
        """Return what makes the one purchase of the running task instance."""
        from airflow_provider_videodb.hooks.arguments import parse_dollars
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
        from airflow_provider_videodb.purchases.claims import TaskClaims, VariableClaims
        from airflow_provider_videodb.purchases.current_try import CurrentTry
        from airflow_provider_videodb.purchases.executor import PurchaseExecutor
        from airflow_provider_videodb.purchases.journal import Journal
        from airflow_provider_videodb.purchases.stores import open_store, task_identity

        hook = VideoDBBillingHook(self.videodb_conn_id)
        max_amount = None if self.max_amount is None else parse_dollars("max_amount", self.max_amount)
        current_try = CurrentTry(context["ti"], is_stopped=lambda: self._is_stopped)
        identity = task_identity(context)
        return PurchaseExecutor(
            shop=hook.get_unlimited_client(),
            journal=Journal(open_store(context), current_try),
            claims=TaskClaims(VariableClaims(), identity),
            current_try=current_try,
            limits=replace(hook.settings.limits, max_amount=max_amount),
            identity=identity,
            account=hook.settings.fingerprint,
            post_timeout=hook.settings.post_timeout,
        )

    def usage(self) -> Usage:
        """Read balance and consumption."""
        return self._client().get_usage()

    def assess(self, just_read: Usage, amount_for: Callable[[Usage], int]) -> Callable[[], Need]:
        """
        Return what says how much to buy: the first time by the usage that was just read, later by a new one.

        :param amount_for: the dollars that an account with that usage needs, 0 if none.
        """
        from airflow_provider_videodb.api.parsing import to_json_number
        from airflow_provider_videodb.purchases.executor import Need

        fresh = [just_read]

        def need() -> Need:
            usage = fresh.pop() if fresh else self.usage()
            return Need(amount=amount_for(usage), balance=to_json_number(usage.credit_balance))

        return need

    def obtain_checkout(
        self,
        executor: PurchaseExecutor,
        purchase: Purchase | None,
        assess: Callable[[], Need],
        *,
        reprices: bool = False,
    ) -> Purchase | None:
        """Return this task instance's purchase, paid or with a link; ``None`` if nothing is needed any more."""
        from airflow_provider_videodb.hooks.arguments import parse_url

        redirect_url = None if self.redirect_url is None else parse_url("redirect_url", self.redirect_url)
        return executor.obtain_checkout(
            purchase, assess, currency=self.currency, redirect_url=redirect_url, reprices=reprices
        )

    def push_link(self, context: Context, url: str | None) -> None:
        """Put the link where the button finds it; without one, so that Airflow does not log its absence as an error."""
        self.payment_url = url
        context["ti"].xcom_push(key=PAYMENT_URL_KEY, value=url)

    def hand_out_link(
        self, purchase: Purchase, context: Context, executor: PurchaseExecutor, *, credits_missing: float | None
    ) -> Purchase:
        """Show the link; a retry shows it again, and calls the notifiers that have told nobody yet."""
        from airflow_provider_videodb.purchases.rules.payment_request import PaymentRequest

        self.push_link(context, purchase.payment_url)
        # The link comes first, on a short line: a log page cuts long ones off.
        self.log.info("Pay %s here: %s", purchase.price, purchase.payment_url)
        self.log.info("It is checkout %s (id from the %s).", purchase.checkout_id, purchase.id_source)
        self.payment = PaymentRequest.of(purchase, credits_missing=credits_missing, run_url=context["ti"].log_url)
        for place, notifier in enumerate(self.notifiers):
            name = f"{place}:{type(notifier).__name__}"
            if name not in purchase.notified and self._notify(notifier, context):
                purchase = replace(purchase, notified=(*purchase.notified, name))
                executor.journal.save(purchase)
        return purchase

    def _notify(self, notifier: BaseNotifier, context: Context) -> bool:
        try:
            # A copy, since rendering its templates changes it, and several tasks may have been given the same one.
            copy.copy(notifier)(context)
        except Exception:
            # The link is on the task's page all the same: a message that did not go out is no reason to fail.
            self.log.exception(
                "The notifier %s failed, so it has told nobody of the link. The task waits on. A retry of the task "
                "calls the notifier again.",
                type(notifier).__name__,
            )
            return False
        return True

    def payment_timeout_error(self, purchase: Purchase) -> Exception:
        """Return the error for a payment that did not come in time."""
        from airflow_provider_videodb.exceptions import VideoDBPaymentTimeoutError

        return VideoDBPaymentTimeoutError(
            f"Nobody paid checkout {purchase.checkout_id} over {purchase.price} within "
            f"{in_words(self.payment_timeout)} (payment_timeout). A retry of this task, or a clear, waits for it again "
            f"and makes no second one. It stays payable until it expires: {purchase.payment_url}"
        )

    def wait_deadline(self) -> float:
        """Return when this try's wait for a payment is over, in seconds since 1970."""
        from airflow_provider_videodb.hooks.arguments import parse_seconds

        return time.time() + parse_seconds("payment_timeout", self.payment_timeout)

    def wait(self, trigger: BillingTrigger, purchase: Purchase | None, context: Context) -> dict[str, Any]:
        """Wait for what the trigger waits for, in the triggerer or, if that is not wished, here."""
        self._waiting_for = purchase
        if self.deferrable or self._holds_worker:
            remaining = timedelta(seconds=max(0.0, (trigger.deadline or 0.0) - time.time()))
            # A trigger notices the time at its next tick only.
            backstop = _BACKSTOP + timedelta(seconds=trigger.poll_interval)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=remaining + backstop)
        self._holds_worker = True
        self._last_look = self._prepare_last_look()
        while True:
            # The same trigger runs here: there is one way to wait, wherever it happens.
            event = asyncio.run(_first_event(trigger))
            try:
                return self.execute_complete(context, event)
            except TaskDeferred as wait_on:
                trigger = wait_on.trigger

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after the trigger."""
        raise NotImplementedError

    def checked_event(self, event: object, *expected: EventStatus) -> dict[str, Any]:
        """Return the trigger's event, or raise its error; an expired checkout loses its button."""
        from airflow_provider_videodb.exceptions import VideoDBCheckoutExpiredError
        from airflow_provider_videodb.triggers.events import checked_event

        try:
            return checked_event(event, *expected)
        except VideoDBCheckoutExpiredError:
            self.has_open_checkout = False
            raise

    def balance_afterwards(self) -> float | None:
        """Read the balance for the record; what was paid is paid, so a failure here must not fail the task."""
        from airflow_provider_videodb.api.parsing import to_json_number
        from airflow_provider_videodb.exceptions import VideoDBError

        try:
            return to_json_number(self.usage().credit_balance)
        except VideoDBError as err:
            self.log.warning("The balance after the payment could not be read: %s", err)
            return None

    def log_payment(self, purchase: Purchase) -> None:
        """Say what was paid, loudly where it is not what was meant."""
        self.has_open_checkout = False
        self.log.info("Checkout %s over %s is paid.", purchase.paid[0], purchase.price_paid)
        if len(purchase.paid) > 1:
            self.log.error(
                "More than one checkout of this task was paid: %s. Unless another task reports one of them as its own, "
                "ask VideoDB's support to refund all but one.",
                ", ".join(purchase.paid),
            )
        elif purchase.link_shared and purchase.paid[0] != purchase.checkout_id:
            self.log.warning(
                "What was paid is an earlier checkout of this task. Do not pay the link of %s as well: %s",
                purchase.checkout_id,
                purchase.payment_url,
            )

    def _prepare_last_look(self) -> Callable[[Purchase], str]:
        """Return what says what remains payable, without asking Airflow for the connection again."""
        from airflow_provider_videodb.api.models import by_id
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
        from airflow_provider_videodb.purchases.rules.tracking import describe_open_payment

        # Without retries, since Airflow kills the process some seconds later.
        client = VideoDBBillingHook(self.videodb_conn_id).get_poll_client()
        return lambda purchase: describe_open_payment(purchase, by_id(client.list_checkouts()), now=datetime.now(UTC))

    def _client(self) -> BillingClient:
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        return VideoDBBillingHook(self.videodb_conn_id).get_conn()


def result(
    purchase: Purchase | None = None,
    *,
    status: str,
    balance_before: float | None = None,
    balance_after: float | None = None,
) -> dict[str, Any]:
    """Return what leaves a task that buys: the same keys, however it ended."""
    if purchase is None:
        bought: dict[str, Any] = dict.fromkeys(("checkout_id", "amount", "currency", "payment_url"))
    else:
        balance_before = purchase.balance_before
        bought = {
            "checkout_id": purchase.paid[0] if purchase.paid else purchase.checkout_id,
            "amount": purchase.amount_paid,
            "currency": purchase.currency,
            # A link that was withheld, because a limit would be broken, goes nowhere.
            "payment_url": purchase.payment_url if purchase.link_shared or purchase.paid else None,
        }
    return {**bought, "status": status, "balance_before": balance_before, "balance_after": balance_after}


async def _first_event(trigger: BillingTrigger) -> Any:
    async for event in trigger.run():
        return event.payload
    return None
