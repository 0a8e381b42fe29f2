"""Operators that buy credits, make sure of them, and set automatic recharge."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.operators.common import GivenArguments, no_retry_for_what_a_person_must_mend
from airflow_provider_videodb.operators.purchasing import PurchasingOperator, result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_videodb.buyer import Buyer
    from airflow_provider_videodb.models import Usage
    from airflow_provider_videodb.record import Purchase

#: Where an AutoRechargeOperator keeps what it found, until it is done.
_FOUND = "videodb_auto_recharge_found"


class TopupOperator(PurchasingOperator):
    """
    Buy credits: ask VideoDB for a checkout, show a person its payment link, and wait until it is paid.

    Guarantees: one task instance makes one purchase. What it is about to do is recorded before it is done, so a retry
    waits for the checkout that is there instead of making a second one; only a checkout known to have expired is
    replaced. Nothing is sent before every argument is checked. While it waits, the link is in the log, in XCom
    ``payment_url`` and behind the button *Pay VideoDB checkout* on the task's page.

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
    :param notifiers: called once with each new link, again only if the task dies at that moment;
        ``{{ task.payment_url }}`` in their templates is the link.
    :param deferrable: wait in the triggerer. ``False`` holds a worker for the whole wait.
    :param durable: record the purchase so that a retry finds it. ``False`` makes every retry buy again.
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    """

    template_fields: Sequence[str] = (*PurchasingOperator.template_fields, "amount", "only_if_below")

    def __init__(
        self,
        *,
        amount: int | str | XComArg,
        only_if_below: float | str | XComArg | None = None,
        wait_for_payment: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.amount = amount
        self.only_if_below = only_if_below
        self.wait_for_payment = wait_for_payment
        self.note_given_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Buy what this task instance has not bought yet, then wait for the payment."""
        from airflow_provider_videodb.arguments import credits_argument, dollars_argument, flag_argument
        from airflow_provider_videodb.fields import to_json_number

        with no_retry_for_what_a_person_must_mend():
            self.push_link(context, None)
            flag_argument("wait_for_payment", self.wait_for_payment)
            amount = dollars_argument("amount", self.amount)
            below = None if self.only_if_below is None else credits_argument("only_if_below", self.only_if_below)
            self.check_common_arguments()
            buyer = self.buyer(context)
            begun = buyer.begun()
            stands = begun is not None and begun.stands
            if not stands:
                buyer.refuse_too_much(amount)
            usage = self.usage()
            balance = to_json_number(usage.credit_balance)
            if not stands and below is not None and usage.covers(below):
                self.log.info("The credit balance is %s, not below %s: no top-up is needed.", balance, below)
                return result(status="not_needed", balance_before=balance, balance_after=balance)
            purchase = self.obtain_checkout(buyer, amount, balance=balance)
            if purchase.paid:
                return self._finish(purchase)
            purchase = self.hand_out_link(purchase, context, buyer)
            if not self.wait_for_payment:
                return result(purchase, status="pending")
            return self._wait_for_payment(purchase, context, self.wait_deadline())

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Finish after the trigger; on any event but the expected ones, fail."""
        from airflow_provider_videodb.record import Purchase
        from airflow_provider_videodb.triggers.events import EventStatus, checked_event

        with no_retry_for_what_a_person_must_mend():
            checked = checked_event(event, EventStatus.PAID, EventStatus.TIMEOUT)
            purchase = Purchase.from_dict(checked["purchase"])
            if checked["status"] == EventStatus.TIMEOUT:
                raise self.payment_timeout_error(purchase)
            settled = self.buyer(context).settle(purchase)
            if not settled.paid:
                return self._wait_for_payment(settled, context, checked["deadline"])
            return self._finish(settled)

    def _wait_for_payment(self, purchase: Purchase, context: Context, deadline: float) -> dict[str, Any]:
        from airflow_provider_videodb.arguments import seconds_argument
        from airflow_provider_videodb.triggers.billing import CheckoutTrigger

        trigger = CheckoutTrigger(
            purchase=purchase.to_dict(),
            videodb_conn_id=self.videodb_conn_id,
            poll_interval=seconds_argument("poll_interval", self.poll_interval),
            deadline=deadline,
        )
        return self.wait(trigger, purchase, context)

    def _finish(self, purchase: Purchase) -> dict[str, Any]:
        self.log_payment(purchase)
        return result(purchase, status="completed", balance_after=self.balance_afterwards())


class EnsureCreditsOperator(PurchasingOperator):
    """
    Do not go on until the account has ``credits`` credits: look, buy what is missing, wait until the balance shows it.

    Guarantees: those of :class:`TopupOperator` for the purchase, and it succeeds only on a balance it has just read.
    A purchase that is paid but not shown yet (VideoDB's documents: the figures lag 5 to 15 minutes) is waited for and
    not made again. If the account is filled in another way while the checkout is unpaid, the task goes on and says
    that the link is left open. The wait shares its poll with the sensors of the same connection and interval; every
    ``settle_timeout`` a worker looks at the checkout for a moment.

    Returns (XCom ``return_value``) a flat dict: the keys of :class:`TopupOperator`, where ``status`` is
    ``not_needed`` (enough from the start), ``completed`` (bought and paid), ``pending`` (enough without the payment:
    the log says what is left open) or ``filled`` (``topup=False`` and somebody else filled the account).

    Raises what :class:`TopupOperator` raises, but waits on where the list does not show the checkout, and
    :class:`~airflow_provider_videodb.exceptions.VideoDBCreditsMissingError` if the balance does not show enough
    within ``settle_timeout`` of the payment, or within ``payment_timeout`` with ``topup=False``.

    :param credits: what the job needs, in credits. (templated)
    :param usd_per_credit: dollars a credit costs. (templated)
    :param min_amount: dollars to buy at the least, once something is bought. (templated)
    :param topup: ``False`` buys nothing and waits only.
    :param settle_timeout: how long a payment may take to show in the balance: a timedelta or seconds.

    The other parameters are those of :class:`TopupOperator`.
    """

    template_fields: Sequence[str] = (
        *PurchasingOperator.template_fields,
        "credits",
        "usd_per_credit",
        "min_amount",
    )

    def __init__(
        self,
        *,
        credits: float | str | XComArg,
        usd_per_credit: float | str | XComArg = 1,
        min_amount: int | str | XComArg = 1,
        topup: bool = True,
        settle_timeout: timedelta | float = timedelta(minutes=30),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.credits = credits
        self.usd_per_credit = usd_per_credit
        self.min_amount = min_amount
        self.topup = topup
        self.settle_timeout = settle_timeout
        self.note_given_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, buy what is missing and was not bought yet, then wait for the balance."""
        from airflow_provider_videodb.arguments import credits_argument, flag_argument, seconds_argument

        with no_retry_for_what_a_person_must_mend():
            self.push_link(context, None)
            flag_argument("topup", self.topup)
            needed = credits_argument("credits", self.credits)
            seconds_argument("settle_timeout", self.settle_timeout)
            self.check_common_arguments()
            self._amount_for(needed)
            buyer = self.buyer(context)
            purchase = buyer.begun()
            usage = self.usage()
            if usage.covers(needed):
                return self._finish(purchase, usage, buyer, without_purchase="not_needed")
            if self.topup:
                purchase = self._purchase(purchase, needed, usage, context, buyer)
            paid_at = time.time() if purchase is not None and purchase.paid else None
            return self._wait_for_balance(purchase, context, deadline=self.wait_deadline(), paid_at=paid_at)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after the trigger; on any event but the expected ones, fail."""
        from airflow_provider_videodb.arguments import credits_argument
        from airflow_provider_videodb.record import Purchase
        from airflow_provider_videodb.triggers.events import EventStatus, checked_event

        with no_retry_for_what_a_person_must_mend():
            checked = checked_event(event, EventStatus.ENOUGH, EventStatus.TIMEOUT)
            state = checked["state"]
            purchase = None if state["purchase"] is None else Purchase.from_dict(state["purchase"])
            usage = self.usage()
            buyer = self.buyer(context)
            if usage.covers(credits_argument("credits", self.credits)):
                return self._finish(purchase, usage, buyer, without_purchase="filled")
            purchase = self._look_at_payment(purchase, buyer)
            paid_at = state["paid_at"]
            if purchase is not None and purchase.paid:
                paid_at = paid_at or time.time()
            self._raise_if_over(purchase, usage, deadline=state["deadline"], paid_at=paid_at)
            return self._wait_for_balance(purchase, context, deadline=state["deadline"], paid_at=paid_at)

    def _amount_for(self, shortfall: Decimal) -> int:
        """Return the dollars that buy ``shortfall`` credits, and so check the arguments that say so."""
        from airflow_provider_videodb.arguments import dollars_argument, price_argument
        from airflow_provider_videodb.purchase import dollars_for

        return dollars_for(
            shortfall,
            usd_per_credit=price_argument("usd_per_credit", self.usd_per_credit),
            min_amount=dollars_argument("min_amount", self.min_amount),
        )

    def _purchase(
        self, begun: Purchase | None, needed: Decimal, usage: Usage, context: Context, buyer: Buyer
    ) -> Purchase:
        from airflow_provider_videodb.fields import to_json_number

        if begun is not None and begun.stands:
            # What was bought may not show in the balance yet: its amount stands, whatever seems missing now.
            amount = begun.amount
        else:
            amount = self._amount_for(needed - usage.credit_balance)
            buyer.refuse_too_much(amount)
            self.log.info("%s of %s credits are there; %s USD are missing.", usage.credit_balance, needed, amount)
        purchase = self.obtain_checkout(buyer, amount, balance=to_json_number(usage.credit_balance))
        return purchase if purchase.paid else self.hand_out_link(purchase, context, buyer)

    def _wait_for_balance(
        self, purchase: Purchase | None, context: Context, *, deadline: float, paid_at: float | None
    ) -> dict[str, Any]:
        from airflow_provider_videodb.arguments import seconds_argument
        from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger

        settle = seconds_argument("settle_timeout", self.settle_timeout)
        next_look = time.time() + settle if paid_at is None else paid_at + settle
        trigger = EnsureCreditsTrigger(
            threshold=str(self.credits),
            state={
                "purchase": None if purchase is None else purchase.to_dict(),
                "deadline": deadline,
                "paid_at": paid_at,
            },
            videodb_conn_id=self.videodb_conn_id,
            poll_interval=seconds_argument("poll_interval", self.poll_interval),
            deadline=next_look if paid_at is not None else min(next_look, deadline),
        )
        return self.wait(trigger, purchase, context)

    def _look_at_payment(self, purchase: Purchase | None, buyer: Buyer) -> Purchase | None:
        """
        Return the purchase as the list of checkouts shows it now.

        :raises VideoDBCheckoutExpiredError: if it expired unpaid.
        """
        if purchase is None or purchase.paid:
            return purchase
        from airflow_provider_videodb.models import by_id
        from airflow_provider_videodb.payment import PaymentWatch

        seen = PaymentWatch(purchase).paid(by_id(buyer.shop.list_checkouts()), now=datetime.now(UTC))
        return purchase if seen is None else buyer.settle(seen)

    def _raise_if_over(
        self, purchase: Purchase | None, usage: Usage, *, deadline: float, paid_at: float | None
    ) -> None:
        from airflow_provider_videodb.arguments import seconds_argument
        from airflow_provider_videodb.exceptions import VideoDBCreditsMissingError

        now = time.time()
        if paid_at is not None:
            if now >= paid_at + seconds_argument("settle_timeout", self.settle_timeout):
                raise VideoDBCreditsMissingError(
                    f"A top-up is paid, but within {self.settle_timeout} the balance came to {usage.credit_balance} of "
                    f"{self.credits} credits only. A retry waits on and buys nothing more; start a new DAG run to buy "
                    "again."
                )
        elif now >= deadline:
            if purchase is not None:
                raise self.payment_timeout_error(purchase)
            raise VideoDBCreditsMissingError(
                f"The balance came to {usage.credit_balance} of {self.credits} credits within {self.payment_timeout}. "
                "Top up the account, then clear this task."
            )

    def _finish(
        self, purchase: Purchase | None, usage: Usage, buyer: Buyer, *, without_purchase: str
    ) -> dict[str, Any]:
        from airflow_provider_videodb.exceptions import VideoDBError
        from airflow_provider_videodb.fields import to_json_number

        balance = to_json_number(usage.credit_balance)
        self.log.info("The credit balance is %s; %s are needed.", balance, self.credits)
        if purchase is None:
            return result(status=without_purchase, balance_before=balance, balance_after=balance)
        try:
            purchase, left_open = buyer.what_became_of(purchase)
        except VideoDBError as err:
            # The balance is what the job needs; a payment that cannot be looked at must not keep it waiting.
            left_open = str(err)
        if purchase.paid:
            self.log_payment(purchase)
            return result(purchase, status="completed", balance_after=balance)
        self.log.warning("The account has enough without a payment of this task. %s", left_open)
        return result(purchase, status="pending", balance_after=balance)


class AutoRechargeOperator(GivenArguments):
    """
    Bring VideoDB's automatic recharge into the wanted state.

    Guarantees: it reads, compares, writes only if something differs, reads back, and fails if what was written did
    not take effect. A retry is therefore harmless. Disabling keeps the configuration; enabling without ``threshold``
    or ``amount`` keeps the stored one.

    Facts from VideoDB's documents: the threshold is when it triggers, the amount is in credits, it needs a payment
    method on file, and changes take effect immediately.

    As a pair it holds for the duration of a pipeline, whether that succeeds or fails: the first task sets, the second
    one, its teardown, brings back what the first one found::

        on = AutoRechargeOperator(task_id="recharge_on", threshold=20, amount=100)
        back = AutoRechargeOperator(task_id="recharge_back", restore=on.output)
        on >> heavy_job >> back.as_teardown(setups=on)

    Returns (XCom ``return_value``) ``{"changed": true, "before": {…}, "after": {…}}`` with ``enabled``, ``threshold``
    and ``amount`` in each of the two, in credits.

    Raises :class:`~airflow_provider_videodb.exceptions.VideoDBSettingsNotAppliedError` if the settings did not take
    effect, and ``AirflowFailException``, which Airflow does not retry, for what only a person can mend.

    :param enabled: whether VideoDB shall recharge by itself.
    :param threshold: credits below which it does. (templated)
    :param amount: credits that it adds. (templated)
    :param restore: what another such task returned: bring back the settings it found, instead of the above. (templated)
    :param videodb_conn_id: the ``videodb`` connection. (templated)
    """

    template_fields: Sequence[str] = ("threshold", "amount", "restore", "videodb_conn_id")
    ui_color = "#d5f5e3"

    def __init__(
        self,
        *,
        enabled: bool = True,
        threshold: float | str | XComArg | None = None,
        amount: float | str | XComArg | None = None,
        restore: dict[str, Any] | XComArg | None = None,
        videodb_conn_id: str = "videodb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enabled = enabled
        self.threshold = threshold
        self.amount = amount
        self.restore = restore
        self.videodb_conn_id = videodb_conn_id
        self.note_given_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, write what differs, read back."""
        from airflow_provider_videodb.hooks.billing import VideoDBBillingHook
        from airflow_provider_videodb.journal import open_store
        from airflow_provider_videodb.models import AutoRecharge

        with no_retry_for_what_a_person_must_mend():
            self.refuse_empty_arguments()
            enabled, threshold, amount = self._wanted()
            client = VideoDBBillingHook(self.videodb_conn_id).get_conn()
            current = client.get_auto_recharge()
            store = open_store(context)
            # A try that died after writing has left here what it found, so that it can still be brought back.
            noted = store.get(_FOUND)
            before = current if noted is None else AutoRecharge.from_api(noted)
            wanted = current.changed_to(enabled=enabled, threshold=threshold, amount=amount)
            if wanted != current:
                store.set(_FOUND, before.to_dict())
                current = client.set_auto_recharge(
                    enabled=wanted.enabled, threshold=wanted.threshold, amount=wanted.amount
                )
                noted = before.to_dict()
            if noted is not None:
                store.delete(_FOUND)
            self.log.info("Auto-recharge was %s and is now %s", before.to_dict(), current.to_dict())
            return {"changed": before != current, "before": before.to_dict(), "after": current.to_dict()}

    def _wanted(self) -> tuple[bool, Decimal | None, Decimal | None]:
        from airflow_provider_videodb.arguments import credits_argument, flag_argument, settings_argument

        given: Any = {"enabled": self.enabled, "threshold": self.threshold, "amount": self.amount}
        if self.restore is not None:
            given = settings_argument("restore", self.restore)
        threshold, amount = given["threshold"], given["amount"]
        if self.restore is not None and not amount:
            # The account had no figures, and there is no call to take them away again: they stay, disabled.
            threshold = amount = None
        return (
            flag_argument("enabled", given["enabled"]),
            None if threshold is None else credits_argument("threshold", threshold),
            None if amount is None else credits_argument("amount", amount),
        )
