"""Making sure of credits: look, buy what is missing, wait until the balance shows it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import (
    in_words,
    parse_credits,
    parse_dollars,
    parse_flag,
    parse_price,
    parse_seconds,
)
from airflow_provider_videodb.operators._arguments import NOT_GIVEN, fail_without_retry
from airflow_provider_videodb.operators._purchasing import PurchasingOperator, result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.api.models import Usage
    from airflow_provider_videodb.operators._arguments import Credits, Dollars, NotGiven, Text
    from airflow_provider_videodb.purchases.executor import PurchaseExecutor
    from airflow_provider_videodb.purchases.rules.purchase import Purchase


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
    :param currency: sent as it is; VideoDB's documents show ``usd``. (templated)
    :param redirect_url: where the person lands after paying. (templated)
    :param payment_timeout: how long a try waits for the payment: a timedelta or seconds.
    :param poll_interval: seconds between looks at the balance.
    :param max_amount: dollars this task may spend in one purchase; the connection's limits hold besides. Not given,
        they alone hold. ``None`` and an empty text are refused. (templated)
    :param notifiers: called once with each new link, again only if the task dies at that moment;
        ``{{ task.payment_url }}`` in their templates is the link.
    :param deferrable: wait in the triggerer. ``False`` holds a worker for the whole wait.
    :param videodb_conn_id: the ``videodb`` connection. (templated)
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
        credits: Credits,
        usd_per_credit: Credits = 1,
        min_amount: Dollars = 1,
        topup: bool = True,
        settle_timeout: timedelta | float = timedelta(minutes=30),
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
        self.credits = self.templated("credits", credits, parse_credits)
        self.usd_per_credit = self.templated("usd_per_credit", usd_per_credit, parse_price)
        self.min_amount = self.templated("min_amount", min_amount, parse_dollars)
        self.topup = self.plain("topup", topup, parse_flag)
        self.settle_timeout = self.plain("settle_timeout", settle_timeout, parse_seconds)

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, buy what is missing and was not bought yet, then wait for the balance."""
        from airflow_provider_videodb.hooks.arguments import parse_credits, parse_flag, parse_seconds

        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            self.push_link(context, None)
            parse_flag("topup", self.topup)
            needed = parse_credits("credits", self.credits)
            parse_seconds("settle_timeout", self.settle_timeout)
            self.check_common_arguments()
            self._amount_for(needed)
            executor = self.purchase_executor(context)
            purchase = executor.load_existing()
            usage = self.usage()
            if usage.covers(needed):
                return self._finish(purchase, usage, executor, without_purchase="not_needed")
            if self.topup and (purchase is None or not purchase.paid):
                bought = self._purchase(purchase, needed, usage, context, executor)
                if bought is None and (usage := self.usage()).covers(needed):
                    return self._finish(purchase, usage, executor, without_purchase="filled")
                purchase = bought
            deadline = self.wait_deadline()
            self._raise_if_over(purchase, usage, deadline=deadline)
            return self._wait_for_balance(purchase, context, deadline=deadline)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Go on after the trigger; on any event but the expected ones, fail."""
        from airflow_provider_videodb.hooks.arguments import parse_credits
        from airflow_provider_videodb.purchases.rules.purchase import Purchase
        from airflow_provider_videodb.triggers.events import EventStatus

        with fail_without_retry(self.log, conn_id=self.videodb_conn_id):
            checked = self.checked_event(event, EventStatus.ENOUGH, EventStatus.TIMEOUT, EventStatus.PAID)
            state = checked["state"]
            seen = checked["purchase"] if checked["status"] == EventStatus.PAID else state["purchase"]
            purchase = None if seen is None else Purchase.from_dict(seen)
            usage = self.usage()
            executor = self.purchase_executor(context)
            if usage.covers(parse_credits("credits", self.credits)):
                return self._finish(purchase, usage, executor, without_purchase="filled")
            if purchase is not None:
                purchase = executor.confirm(purchase) if purchase.paid else self._look_at_payment(purchase, executor)
            self._raise_if_over(purchase, usage, deadline=state["deadline"])
            return self._wait_for_balance(purchase, context, deadline=state["deadline"])

    def _amount_for(self, shortfall: Decimal) -> int:
        """Return the dollars that buy ``shortfall`` credits, and so check the arguments that say so."""
        from airflow_provider_videodb.hooks.arguments import parse_dollars, parse_price
        from airflow_provider_videodb.purchases.rules.decide import dollars_for

        return dollars_for(
            shortfall,
            usd_per_credit=parse_price("usd_per_credit", self.usd_per_credit),
            min_amount=parse_dollars("min_amount", self.min_amount),
        )

    def _purchase(
        self, begun: Purchase | None, needed: Decimal, usage: Usage, context: Context, executor: PurchaseExecutor
    ) -> Purchase | None:
        """Return what was bought, paid or with its link out; ``None`` if somebody filled the account meanwhile."""
        from airflow_provider_videodb.api.parsing import to_json_number

        def dollars_missing(seen: Usage) -> int:
            return 0 if seen.covers(needed) else self._amount_for(needed - seen.credit_balance)

        missing = needed - usage.credit_balance
        if begun is None or not begun.has_effect:
            executor.check_per_purchase_limits(dollars_missing(usage), currency=self.currency)
            self.log.info(
                "The account has %s of %s credits; %s are missing.",
                usage.credit_balance,
                needed,
                missing,
            )
        purchase = self.obtain_checkout(executor, begun, self.assess(usage, dollars_missing), reprices=True)
        if purchase is None or purchase.paid:
            return purchase
        return self.hand_out_link(purchase, context, executor, credits_missing=to_json_number(missing))

    def _wait_for_balance(self, purchase: Purchase | None, context: Context, *, deadline: float) -> dict[str, Any]:
        from airflow_provider_videodb.hooks.arguments import parse_seconds
        from airflow_provider_videodb.triggers.ensure_credits import EnsureCreditsTrigger

        if purchase is not None and purchase.paid:
            deadline = self._settles_at(purchase)
            self.log.info(
                "%s were paid at %s. Waiting until %s for the balance to show them; nothing more is bought.",
                purchase.price_paid,
                purchase.paid_at,
                datetime.fromtimestamp(deadline, UTC).isoformat(timespec="seconds"),
            )
        trigger = EnsureCreditsTrigger(
            threshold=str(self.credits),
            state={"purchase": None if purchase is None else purchase.to_dict(), "deadline": deadline},
            videodb_conn_id=self.videodb_conn_id,
            poll_interval=parse_seconds("poll_interval", self.poll_interval),
            deadline=deadline,
        )
        return self.wait(trigger, purchase, context)

    def _settles_at(self, purchase: Purchase) -> float:
        """Return when a payment must show in the balance, in seconds since 1970."""
        from airflow_provider_videodb.hooks.arguments import parse_seconds

        now = time.time()
        # A payment of which nobody has noted when it was made is taken for old: a wait that began anew would not end.
        paid_at = 0 if purchase.paid_at is None else datetime.fromisoformat(purchase.paid_at).timestamp()
        # A worker whose clock was ahead may have noted a moment that is yet to come.
        return min(paid_at, now) + parse_seconds("settle_timeout", self.settle_timeout)

    def _look_at_payment(self, purchase: Purchase, executor: PurchaseExecutor) -> Purchase:
        """Return the purchase as the list of checkouts shows it now."""
        from airflow_provider_videodb.api.models import by_id
        from airflow_provider_videodb.purchases.rules.candidates import paid_ids

        paid = paid_ids(purchase, by_id(executor.shop.list_checkouts()))
        return executor.confirm(purchase.marked_paid(paid)) if paid else purchase

    def _raise_if_over(self, purchase: Purchase | None, usage: Usage, *, deadline: float) -> None:
        from airflow_provider_videodb.exceptions import VideoDBCreditsMissingError

        now = time.time()
        if purchase is not None and purchase.paid:
            if now >= self._settles_at(purchase):
                raise VideoDBCreditsMissingError(
                    f"This task has bought credits for {purchase.price_paid} (paid at {purchase.paid_at}). "
                    f"{in_words(self.settle_timeout)} later (settle_timeout) the balance is {usage.credit_balance} of "
                    f"{self.credits} credits: they are used up, or VideoDB does not show them yet. A retry buys "
                    "nothing more. Next step: look in VideoDB's console. If the payment is not booked yet, clear this "
                    "task. If its credits are used up, start a new DAG run to buy again."
                )
        elif now >= deadline:
            if purchase is not None:
                raise self.payment_timeout_error(purchase)
            raise VideoDBCreditsMissingError(
                f"The balance came to {usage.credit_balance} of {self.credits} credits within "
                f"{in_words(self.payment_timeout)} (payment_timeout). Top up the account, then clear this task."
            )

    def _finish(
        self, purchase: Purchase | None, usage: Usage, executor: PurchaseExecutor, *, without_purchase: str
    ) -> dict[str, Any]:
        from airflow_provider_videodb.api.parsing import to_json_number
        from airflow_provider_videodb.exceptions import VideoDBError

        balance = to_json_number(usage.credit_balance)
        self.log.info("The credit balance is %s; %s are needed.", balance, self.credits)
        if purchase is None:
            return result(status=without_purchase, balance_before=balance, balance_after=balance)
        try:
            if purchase.paid:
                purchase, left_open = executor.confirm(purchase), ""
            else:
                purchase, left_open = executor.reconcile(purchase)
        except VideoDBError as err:
            # The balance is what the job needs; a payment that cannot be looked at must not keep it waiting.
            left_open = str(err)
        if purchase.paid:
            self.log_payment(purchase)
            return result(purchase, status="completed", balance_after=balance)
        self.has_open_checkout = False
        self.log.warning("The account has enough without a payment of this task. %s", left_open)
        return result(purchase, status="pending", balance_after=balance)
