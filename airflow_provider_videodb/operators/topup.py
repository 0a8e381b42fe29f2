"""Buys credits, once per task instance."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import parse_credits, parse_dollars, parse_flag
from airflow_provider_videodb.links.checkout import CheckoutLink
from airflow_provider_videodb.operators._arguments import NOT_GIVEN
from airflow_provider_videodb.operators._purchasing import WAIT_ARGUMENTS, PurchasingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.hooks.arguments import Approver
    from airflow_provider_videodb.operators._arguments import Credits, Dollars, NotGiven, Text
    from airflow_provider_videodb.operators._topup_run import TopupRun


class TopupOperator(PurchasingOperator):
    """
    Buy credits once, and wait for the payment.

    The task asks VideoDB for a checkout, shows its payment link, and waits until somebody pays it. The link is in the
    log and in XCom ``payment_url``. On the task's page, it is behind the button *Pay 50 USD*. The button says *Pay for
    credits* unless the amount is a literal number and the currency is ``usd`` or not given.

    One task instance makes one purchase. The task records what it is about to buy before it sends the request, so a
    retry waits for the existing checkout. Only a checkout that is known to have expired is replaced. Nothing is sent
    before every argument has been checked.

    According to VideoDB's documentation, amounts are whole US dollars, and credits arrive at once after the payment. An
    unpaid checkout expires after 24 hours and cannot be cancelled.

    The result (XCom ``return_value``) is a flat dict:

    - ``checkout_id``, ``payment_url``, and ``amount`` in US dollars;
    - ``currency``: the argument, ``None`` if the task named none and left it to VideoDB;
    - ``status``: ``completed``, ``pending`` (with ``wait_for_payment=False``), or ``not_needed`` (the balance was not
      below ``only_if_below``);
    - ``balance_before`` and ``balance_after``, in credits. VideoDB's balance lags by 5 to 15 minutes.
      ``balance_after`` is ``None`` if it could not be read.

    Three errors leave the checkout as it is, and a retry continues from there:
    :class:`~airflow_provider_videodb.exceptions.VideoDBPaymentTimeoutError`, ``VideoDBCheckoutExpiredError`` and
    ``VideoDBCheckoutMissingError``. The task fails with ``AirflowFailException``, which Airflow does not retry, if a
    person has to act first. Examples are a bad argument, a broken limit, a refused key, or a purchase whose outcome is
    unknown. The ``__context__`` of that exception is the error of this package.

    :param amount: whole US dollars, as a number or as text. (templated)
    :param currency: is sent as given. VideoDB documents only ``usd``. (templated)
    :param redirect_url: the page that opens after the payment. By default a page of Airflow's API server, if the option
        ``[api] base_url`` begins with ``https://``, or names this machine. (templated)
    :param only_if_below: buy only if the balance is below this many credits. Without it, the task always buys.
        ``None`` and empty text are refused. (templated)
    :param wait_for_payment: ``False`` ends the task as soon as the link is there.
    :param payment_timeout: how long one try waits for an approval, and then for the payment, as a timedelta or in
        seconds.
    :param poll_interval: time between two polls of the checkout, as a timedelta or in seconds.
    :param max_amount: the most US dollars that this task may spend in one purchase. The limits of the connection apply
        as well. ``None`` and empty text are refused. (templated)
    :param approval: ``True`` asks a person for each purchase, before a checkout exists. ``False`` asks only if another
        rule does.
    :param approval_above: asks a person if the purchase is above this many US dollars. ``approval_above`` of the
        connection applies as well. ``None`` and empty text are refused. (templated)
    :param approvers: the Airflow users who may respond, by id. Without them, everybody may who has the permission.
    :param notifiers: are called once with each new link. A notifier is called again only if it failed, or if the task
        died during the call. In their templates, ``{{ task.payment_url }}`` is the link. A
        :class:`~airflow_provider_videodb.notifications.payment_request.PaymentRequestNotifier` writes the message
        itself, and also says how the wait ends.
    :param remind_every: how often a ``PaymentRequestNotifier`` reminds people of the link until it is paid, as a
        timedelta or in seconds. ``None`` sends no reminders.
    :param deferrable: wait in the triggerer. ``False`` occupies a worker slot for the whole wait.
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
        poll_interval: timedelta | float = 30,
        max_amount: Dollars | NotGiven = NOT_GIVEN,
        approval: bool = False,
        approval_above: Credits | NotGiven = NOT_GIVEN,
        approvers: Sequence[Approver] | None = None,
        notifiers: Sequence[BaseNotifier] = (),
        remind_every: timedelta | float | None = None,
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
            approval=approval,
            approval_above=approval_above,
            approvers=approvers,
            notifiers=notifiers,
            remind_every=remind_every,
            deferrable=deferrable,
            videodb_conn_id=videodb_conn_id,
            **kwargs,
        )
        self.amount = self.templated("amount", amount, parse_dollars)
        self.only_if_below = self.templated("only_if_below", only_if_below, parse_credits)
        self.wait_for_payment = self.plain("wait_for_payment", wait_for_payment, parse_flag)
        if isinstance(amount, int) and currency in (None, "usd"):
            self.operator_extra_links = (CheckoutLink(amount),)

    def _start(self, context: Context) -> TopupRun:
        from airflow_provider_videodb.operators._topup_run import TopupRequest, TopupRun

        request = TopupRequest(**self.parsed())
        return TopupRun(self, context, request, request)

    def _resume(self, context: Context) -> TopupRun:
        from airflow_provider_videodb.operators._purchase_run import WaitRequest
        from airflow_provider_videodb.operators._topup_run import TopupRun

        return TopupRun(self, context, WaitRequest(**self.parsed(*WAIT_ARGUMENTS)))
