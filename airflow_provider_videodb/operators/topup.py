"""Buying credits, once per task instance."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import parse_credits, parse_dollars, parse_flag
from airflow_provider_videodb.links.checkout import CheckoutLink
from airflow_provider_videodb.operators._arguments import NOT_GIVEN, fail_without_retry
from airflow_provider_videodb.operators._purchasing import PurchasingOperator, result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.operators._arguments import Credits, Dollars, NotGiven, Text
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


class TopupOperator(PurchasingOperator):
    """
    Buy credits: ask VideoDB for a checkout, show a person its payment link, and wait until it is paid.

    Guarantees: one task instance makes one purchase. What it is about to do is recorded before it is done, so a retry
    waits for the checkout that is there instead of making a second one; only a checkout known to have expired is
    replaced. Nothing is sent before every argument is checked. While it waits, the link is in the log, in XCom
    ``payment_url`` and behind the button *Pay 50 USD* on the task's page, or *Pay for credits* for a templated amount.

    Facts from VideoDB's documents: amounts are whole US dollars; credits arrive at once after the payment; an unpaid
    checkout expires after 24 hours; there is no call to cancel one.

    Returns (XCom ``return_value``) a flat dict: ``checkout_id``, ``amount`` (dollars), ``currency``, ``status``
    (``completed``; ``pending`` with ``wait_for_payment=False``; ``not_needed`` where ``only_if_below`` made it a
    no-op), ``payment_url``, ``balance_before`` and ``balance_after`` (credits; the latter ``None`` if it could not be
    read, and behind by VideoDB's lag of 5 to 15 minutes).

    Raises :class:`~airflow_provider_videodb.exceptions.VideoDBCheckoutExpiredError`, ``VideoDBCheckoutMissingError``
    and ``VideoDBPaymentTimeoutError`` for a payment that did not come (a retry goes on from there), and
    ``AirflowFailException``, which Airflow does not retry, for what only a person can mend: bad arguments, a broken
    limit, a refused key, a purchase whose outcome cannot be told. Its ``__context__`` is the typed error.

    :param amount: whole US dollars, a number or a string that spells one. (templated)
    :param currency: sent as it is; VideoDB's documents show ``usd``. (templated)
    :param redirect_url: where the person lands after paying. (templated)
    :param only_if_below: buy only if the balance is below this many credits; not given, the balance does not count.
        (templated)
    :param wait_for_payment: ``False`` ends the task once the link is there.
    :param payment_timeout: how long a try waits for the payment: a timedelta or seconds.
    :param poll_interval: seconds between looks at the checkout.
    :param max_amount: dollars this task may spend in one purchase; the connection's limits hold besides. Not given,
        they alone hold. ``None`` and an empty text are refused, here and for ``only_if_below``. (templated)
    :param notifiers: called once with each new link, again only if the task dies at that moment;
        ``{{ task.payment_url }}`` in their templates is the link.
    :param deferrable: wait in the triggerer. ``False`` holds a worker for the whole wait.
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    """

    template_fields: Sequence[str] = (*PurchasingOperator.template_fields, "amount", "only_if_below")

    def __init__(
        self,
        *,
        amount: Dollars,
        only_if_below: Credits | NotGiven = NOT_GIVEN,
        wait_for_payment: bool = True,
        currency: Text | None = None,
        redirect_url: Text | None = None,
        payment_timeout: timedelta | float = timedelta(hours=24),
        poll_interval: float = 30,
        max_amount: Dollars | NotGiven = NOT_GIVEN,
        notifiers: Sequence[BaseNotifier] = (),
        deferrable: bool = True,
        videodb_conn_id: Text = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            currency=currency,
            redirect_url=redirect_url,
            payment_timeout=payment_timeout,
            poll_interval=poll_interval,
            max_amount=max_amount,
            notifiers=notifiers,
            deferrable=deferrable,
            videodb_conn_id=videodb_conn_id,
            **kwargs,
        )
        self.amount = self.templated("amount", amount, parse_dollars)
        self.only_if_below = self.templated("only_if_below", only_if_below, parse_credits)
        self.wait_for_payment = self.plain("wait_for_payment", wait_for_payment, parse_flag)
        if isinstance(amount, int) and currency in (None, "usd"):
            self.operator_extra_links = (CheckoutLink(amount),)

    def execute(self, context: Context) -> dict[str, Any]:
        """Buy what this task instance has not bought yet, then wait for the payment."""
        from airflow_provider_videodb.api.parsing import to_json_number
        from airflow_provider_videodb.hooks.arguments import parse_credits, parse_dollars, parse_flag

        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            self.push_link(context, None)
            parse_flag("wait_for_payment", self.wait_for_payment)
            amount = parse_dollars("amount", self.amount)
            below = None if self.only_if_below is None else parse_credits("only_if_below", self.only_if_below)
            self.check_common_arguments()
            executor = self.purchase_executor(context)
            begun = executor.load_existing()
            if begun is not None and begun.paid:
                return self._finish(begun)
            if begun is None or not begun.has_effect:
                executor.check_per_purchase_limits(amount, currency=self.currency)
            usage = self.usage()
            balance = to_json_number(usage.credit_balance)
            assess = self.assess(usage, lambda seen: 0 if below is not None and seen.covers(below) else amount)
            purchase = self.obtain_checkout(executor, begun, assess)
            if purchase is None:
                self.log.info("The account has %s credits or more: no top-up is needed.", below)
                return result(status="not_needed", balance_before=balance, balance_after=balance)
            if purchase.paid:
                return self._finish(purchase)
            missing = None if below is None else to_json_number(max(below - usage.credit_balance, Decimal(0)))
            purchase = self.hand_out_link(purchase, context, executor, credits_missing=missing)
            if not self.wait_for_payment:
                return result(purchase, status="pending")
            return self._wait_for_payment(purchase, context, self.wait_deadline())

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Finish after the trigger; on any event but the expected ones, fail."""
        from airflow_provider_videodb.purchases.rules.purchase import Purchase
        from airflow_provider_videodb.triggers.events import EventStatus

        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            checked = self.checked_event(event, EventStatus.PAID, EventStatus.TIMEOUT)
            purchase = Purchase.from_dict(checked["purchase"])
            if checked["status"] == EventStatus.TIMEOUT:
                raise self.payment_timeout_error(purchase)
            settled = self.purchase_executor(context).confirm(purchase)
            if not settled.paid:
                return self._wait_for_payment(settled, context, checked["deadline"])
            return self._finish(settled)

    def _wait_for_payment(self, purchase: Purchase, context: Context, deadline: float) -> dict[str, Any]:
        from airflow_provider_videodb.hooks.arguments import parse_seconds
        from airflow_provider_videodb.triggers.checkout import CheckoutTrigger

        trigger = CheckoutTrigger(
            purchase=purchase.to_dict(),
            videodb_conn_id=self.videodb_conn_id,
            poll_interval=parse_seconds("poll_interval", self.poll_interval),
            deadline=deadline,
        )
        return self.wait(trigger, purchase, context)

    def _finish(self, purchase: Purchase) -> dict[str, Any]:
        self.log_payment(purchase)
        return result(purchase, status="completed", balance_after=self.balance_afterwards())
