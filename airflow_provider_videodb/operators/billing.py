"""Operators that buy credits and set automatic recharge."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_videodb.links.billing import PAYMENT_URL_KEY, CheckoutLink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
    from airflow_provider_videodb.journal import Journal
    from airflow_provider_videodb.purchase import Purchase
    from airflow_provider_videodb.triggers.billing import CheckoutTrigger

#: How much later than our own deadline Airflow's may end the deferral, in case the triggerer cannot.
_BACKSTOP = timedelta(seconds=60)


class TopupOperator(BaseOperator):
    """
    Buy credits: ask VideoDB for a checkout, show a person its payment link, and wait until it is paid.

    Guarantees: one task instance makes one purchase. What it is about to do is recorded before it is done, so a retry
    waits for the checkout that is there instead of making a second one; only a checkout known to have expired is
    replaced. Nothing is sent before every argument and limit is checked. While it waits, the link is in the log, in
    XCom ``payment_url`` and behind the button *Pay VideoDB checkout* on the task's page.

    Facts from VideoDB's documents: amounts are whole US dollars; credits arrive at once after the payment; an unpaid
    checkout expires after 24 hours; there is no call to cancel one.

    Returns (XCom ``return_value``) a flat dict: ``checkout_id``, ``amount`` (dollars), ``currency``, ``status``
    (``completed``; ``pending`` with ``wait_for_payment=False``; ``not_needed`` where ``only_if_below`` made it a
    no-op), ``payment_url``, ``balance_before`` and ``balance_after`` (credits; the latter ``None`` if it could not be
    read, and behind by VideoDB's lag of 5 to 15 minutes).

    Raises :class:`~airflow_provider_videodb.exceptions.VideoDBCheckoutExpiredError`, ``VideoDBCheckoutMissingError``
    and ``VideoDBPaymentTimeoutError`` for a payment that did not come (a retry goes on from there), and
    ``AirflowFailException``, which Airflow does not retry, for what only a person can mend: bad arguments, a broken
    limit, a refused key, a purchase whose outcome cannot be told. Its ``__cause__`` is the typed error.

    :param amount: whole US dollars, a number or a string that spells one. (templated)
    :param currency: sent as it is; VideoDB's documents show ``usd``. (templated)
    :param redirect_url: where the person lands after paying. (templated)
    :param only_if_below: buy only if the balance is below this many credits. (templated)
    :param wait_for_payment: ``False`` ends the task once the link is there.
    :param payment_timeout: how long a try waits for the payment: a timedelta or seconds.
    :param poll_interval: seconds between looks at the checkout.
    :param max_amount: dollars this task may spend in one purchase; the connection's limits hold besides. (templated)
    :param notifiers: called once with each new link; ``{{ task.payment_url }}`` in their templates is the link.
    :param deferrable: wait in the triggerer. ``False`` holds a worker for the whole wait.
    :param durable: record the purchase so that a retry finds it. ``False`` makes every retry buy again.
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    """

    template_fields: Sequence[str] = (
        "amount",
        "currency",
        "redirect_url",
        "only_if_below",
        "max_amount",
        "videodb_conn_id",
    )
    operator_extra_links = (CheckoutLink(),)
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        amount: int | str,
        currency: str | None = None,
        redirect_url: str | None = None,
        only_if_below: float | str | None = None,
        wait_for_payment: bool = True,
        payment_timeout: timedelta | float = timedelta(hours=24),
        poll_interval: float = 30,
        max_amount: int | str | None = None,
        notifiers: Sequence[BaseNotifier] = (),
        deferrable: bool = True,
        durable: bool = True,
        videodb_conn_id: str = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.amount = amount
        self.currency = currency
        self.redirect_url = redirect_url
        self.only_if_below = only_if_below
        self.wait_for_payment = wait_for_payment
        self.payment_timeout = payment_timeout
        self.poll_interval = poll_interval
        self.max_amount = max_amount
        self.notifiers = notifiers
        self.deferrable = deferrable
        self.durable = durable
        self.videodb_conn_id = videodb_conn_id
        #: The payment link, for the notifiers' templates.
        self.payment_url: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Buy what this task instance has not bought yet, then wait for the payment."""
        with _no_retry_for_what_a_person_must_mend():
            return self._buy_and_wait(context)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Finish after the trigger; on any event but the expected ones, fail."""
        from airflow_provider_videodb.exceptions import VideoDBPaymentTimeoutError
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
        from airflow_provider_videodb.journal import open_journal
        from airflow_provider_videodb.purchase import Purchase
        from airflow_provider_videodb.triggers.billing import EventStatus, checked_event

        with _no_retry_for_what_a_person_must_mend():
            checked = checked_event(event, EventStatus.PAID, EventStatus.TIMEOUT)
            purchase = Purchase.from_dict(checked["purchase"])
            if checked["status"] == EventStatus.TIMEOUT:
                raise VideoDBPaymentTimeoutError(
                    f"Nobody paid checkout {purchase.checkout_id} over {purchase.amount} USD within "
                    f"{self.payment_timeout}. It stays payable until it expires: {purchase.payment_url} A retry of "
                    "this task waits for it again and makes no second one."
                )
            journal = open_journal(context, durable=self.durable)
            return self._finish(purchase, VideoDBBillingHook(self.videodb_conn_id), journal)

    def _buy_and_wait(self, context: Context) -> dict[str, Any]:
        from airflow_provider_videodb.arguments import (
            credits_argument,
            dollars_argument,
            seconds_argument,
            url_argument,
        )
        from airflow_provider_videodb.buyer import TopupRequest, obtain_checkout
        from airflow_provider_videodb.fields import to_json_number
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
        from airflow_provider_videodb.journal import open_journal, task_identity
        from airflow_provider_videodb.limits import check_limits

        amount = dollars_argument("amount", self.amount)
        below = None if self.only_if_below is None else credits_argument("only_if_below", self.only_if_below)
        max_amount = None if self.max_amount is None else dollars_argument("max_amount", self.max_amount)
        redirect_url = None if self.redirect_url is None else url_argument("redirect_url", self.redirect_url)
        seconds_argument("payment_timeout", self.payment_timeout)
        seconds_argument("poll_interval", self.poll_interval)
        hook = VideoDBBillingHook(self.videodb_conn_id)
        limits = replace(hook.settings.limits, max_amount=max_amount)
        journal = open_journal(context, durable=self.durable)
        begun = journal.load()
        if begun is None:
            check_limits(amount, replace(limits, monthly_topup_limit=None), checkouts=(), now=datetime.now(UTC))
        client = hook.get_conn()
        usage = client.get_usage()
        balance = to_json_number(usage.credit_balance)
        if begun is None and below is not None and usage.covers(below):
            self.log.info("The credit balance is %s, not below %s: no top-up is needed.", balance, below)
            return _result(status="not_needed", balance_before=balance, balance_after=balance)
        request = TopupRequest(
            amount=amount,
            currency=self.currency,
            redirect_url=redirect_url,
            identity=task_identity(context),
            balance_before=balance,
        )
        purchase, paid = obtain_checkout(begun, request, client=client, journal=journal, limits=limits)
        if paid:
            return self._finish(purchase, hook, journal)
        purchase = self._hand_out_link(purchase, context, journal)
        if not self.wait_for_payment:
            return _result(purchase, status="pending")
        return self._wait(purchase, context)

    def _hand_out_link(self, purchase: Purchase, context: Context, journal: Journal) -> Purchase:
        """Show the link in every place a person may look; a retry shows it again, but notifies nobody twice."""
        self.payment_url = purchase.payment_url
        context["ti"].xcom_push(key=PAYMENT_URL_KEY, value=purchase.payment_url)
        self.log.info(
            "VideoDB checkout %s over %s USD (id from the %s) waits to be paid at: %s",
            purchase.checkout_id,
            purchase.amount,
            purchase.id_source,
            purchase.payment_url,
        )
        if purchase.notified:
            return purchase
        for notifier in self.notifiers:
            try:
                notifier(context)
            except Exception:
                # The link is on the task's page all the same: a message that did not go out is no reason to fail.
                self.log.exception("The notifier %s failed", type(notifier).__name__)
        purchase = replace(purchase, notified=True)
        journal.save(purchase)
        return purchase

    def _wait(self, purchase: Purchase, context: Context) -> dict[str, Any]:
        from airflow_provider_videodb.arguments import seconds_argument
        from airflow_provider_videodb.triggers.billing import CheckoutTrigger

        timeout = seconds_argument("payment_timeout", self.payment_timeout)
        trigger = CheckoutTrigger(
            purchase=purchase.to_dict(),
            videodb_conn_id=self.videodb_conn_id,
            poll_interval=seconds_argument("poll_interval", self.poll_interval),
            deadline=time.time() + timeout,
        )
        if self.deferrable:
            self.defer(
                trigger=trigger,
                method_name="execute_complete",
                timeout=timedelta(seconds=timeout) + _BACKSTOP,
            )
        # Holding the worker, the trigger runs here: there is one way to wait, wherever it happens.
        return self.execute_complete(context, asyncio.run(_first_event(trigger)))

    def _finish(self, purchase: Purchase, hook: VideoDBBillingHook, journal: Journal) -> dict[str, Any]:
        from airflow_provider_videodb.exceptions import VideoDBError
        from airflow_provider_videodb.fields import to_json_number

        journal.save(purchase)
        if len(purchase.paid) > 1:
            self.log.error(
                "More than one checkout of this task was paid: %s. Ask VideoDB's support to refund all but one.",
                ", ".join(purchase.paid),
            )
        balance_after = None
        try:
            balance_after = to_json_number(hook.get_usage().credit_balance)
        except VideoDBError as err:
            # What was paid is paid: a figure for the record must not fail the task.
            self.log.warning("The balance after the payment could not be read: %s", err)
        self.log.info("Checkout %s over %s USD is paid.", purchase.paid[0], purchase.amount)
        return _result(purchase, status="completed", balance_after=balance_after)


class AutoRechargeOperator(BaseOperator):
    """
    Bring VideoDB's automatic recharge into the wanted state.

    Guarantees: it reads, compares, writes only if something differs, reads back, and fails if what was written did
    not take effect. A retry is therefore harmless. Disabling keeps the configuration; enabling without ``threshold``
    or ``amount`` keeps the stored one.

    Facts from VideoDB's documents: the threshold is when it triggers, the amount is in credits, it needs a payment
    method on file, and changes take effect immediately.

    Returns (XCom ``return_value``) ``{"changed": true, "before": {…}, "after": {…}}`` with ``enabled``, ``threshold``
    and ``amount`` in each of the two, in credits.

    Raises :class:`~airflow_provider_videodb.exceptions.VideoDBSettingsNotAppliedError` if the settings did not take
    effect, and ``AirflowFailException``, which Airflow does not retry, for what only a person can mend.

    :param enabled: whether VideoDB shall recharge by itself.
    :param threshold: credits below which it does. (templated)
    :param amount: credits that it adds. (templated)
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    """

    template_fields: Sequence[str] = ("threshold", "amount", "videodb_conn_id")
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        enabled: bool = True,
        threshold: float | str | None = None,
        amount: float | str | None = None,
        videodb_conn_id: str = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enabled = enabled
        self.threshold = threshold
        self.amount = amount
        self.videodb_conn_id = videodb_conn_id

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Read, compare, write what differs, read back."""
        from airflow_provider_videodb.arguments import credits_argument, flag_argument
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook

        with _no_retry_for_what_a_person_must_mend():
            enabled = flag_argument("enabled", self.enabled)
            threshold = None if self.threshold is None else credits_argument("threshold", self.threshold)
            amount = None if self.amount is None else credits_argument("amount", self.amount)
            client = VideoDBBillingHook(self.videodb_conn_id).get_conn()
            before = client.get_auto_recharge()
            wanted = before.changed_to(enabled=enabled, threshold=threshold, amount=amount)
            if wanted == before:
                self.log.info("Auto-recharge is as wanted already: %s", before.to_dict())
                return {"changed": False, "before": before.to_dict(), "after": before.to_dict()}
            after = client.set_auto_recharge(enabled=wanted.enabled, threshold=wanted.threshold, amount=wanted.amount)
            self.log.info("Auto-recharge was %s and is now %s", before.to_dict(), after.to_dict())
            return {"changed": True, "before": before.to_dict(), "after": after.to_dict()}


@contextmanager
def _no_retry_for_what_a_person_must_mend() -> Iterator[None]:
    from airflow_provider_videodb.exceptions import PERMANENT_ERRORS

    try:
        yield
    except PERMANENT_ERRORS as err:
        raise AirflowFailException(str(err)) from err


async def _first_event(trigger: CheckoutTrigger) -> Any:
    async for event in trigger.run():
        return event.payload
    return None


def _result(
    purchase: Purchase | None = None,
    *,
    status: str,
    balance_before: float | None = None,
    balance_after: float | None = None,
) -> dict[str, Any]:
    """Return what leaves the task: the same keys, however it ended."""
    if purchase is None:
        bought: dict[str, Any] = dict.fromkeys(("checkout_id", "amount", "currency", "payment_url"))
    else:
        balance_before = purchase.balance_before
        bought = {
            "checkout_id": purchase.paid[0] if purchase.paid else purchase.checkout_id,
            "amount": purchase.amount,
            "currency": purchase.currency,
            "payment_url": purchase.payment_url,
        }
    return {**bought, "status": status, "balance_before": balance_before, "balance_after": balance_after}
