"""Makes sure that the account has the credits a job needs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import (
    parse_credits,
    parse_dollars,
    parse_flag,
    parse_price,
    parse_seconds,
)
from airflow_provider_videodb.operators._arguments import NOT_GIVEN
from airflow_provider_videodb.operators._purchasing import WAIT_ARGUMENTS, PurchasingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.operators._arguments import Credits, Dollars, NotGiven, Text
    from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun


class EnsureCreditsOperator(PurchasingOperator):
    """
    Wait until the account has the credits a job needs, and buy those that are missing.

    The task reads the balance, buys what is missing, shows the payment link, and waits until the balance shows the
    payment. It succeeds only on a balance that it has just read.

    The guarantees of :class:`~airflow_provider_videodb.operators.topup.TopupOperator` hold for the purchase. If it is
    paid but the balance does not show it yet, the task waits and buys nothing more. VideoDB's balance lags by 5 to 15
    minutes. If somebody else fills the account before the checkout is paid, the task succeeds and logs that the link
    can still be paid.

    The wait shares its poll with the sensors of the same connection and interval. After each ``settle_timeout`` or
    ``payment_timeout``, a worker checks the payment for a moment.

    The result (XCom ``return_value``) is a flat dict with the keys of ``TopupOperator``. ``status`` is one of:

    - ``not_needed``: the balance sufficed from the start;
    - ``completed``: the task bought credits, and they are paid;
    - ``pending``: the balance suffices without the payment, which the log describes;
    - ``filled``: the task bought nothing, and somebody else filled the account.

    The task raises the errors of ``TopupOperator``, with one difference. It waits on if the list does not show the
    checkout. It raises :class:`~airflow_provider_videodb.exceptions.VideoDBCreditsMissingError` if the balance does
    not suffice within ``settle_timeout`` after the payment, or if nobody fills the account within ``payment_timeout``.

    :param credits: what the job needs, in credits. (templated)
    :param usd_per_credit: the price of one credit, in US dollars. (templated)
    :param min_amount: the least that a purchase may be, in whole US dollars. (templated)
    :param topup: ``False`` buys nothing, and waits until somebody else fills the account.
    :param settle_timeout: how long the balance may take to show a payment, as a timedelta or in seconds.
    :param currency: is sent as given. VideoDB's documents show ``usd``. (templated)
    :param redirect_url: the page that opens after the payment. (templated)
    :param payment_timeout: how long one try waits for the payment, as a timedelta or in seconds. With
        ``topup=False``, how long it waits for the credits.
    :param poll_interval: time between two polls of the balance, as a timedelta or in seconds.
    :param max_amount: the most US dollars that this task may spend in one purchase. The limits of the connection apply
        as well. ``None`` and empty text are refused. (templated)
    :param notifiers: are called once with each new link. A notifier is called again only if it failed, or if the task
        died during the call. In their templates, ``{{ task.payment_url }}`` is the link.
    :param deferrable: wait in the triggerer. ``False`` occupies a worker slot for the whole wait.
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
        poll_interval: timedelta | float = 30,
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

    def _start(self, context: Context) -> EnsureCreditsRun:
        from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRequest, EnsureCreditsRun

        request = EnsureCreditsRequest(**self.parsed())
        return EnsureCreditsRun(self, context, request, request)

    def _resume(self, context: Context) -> EnsureCreditsRun:
        from airflow_provider_videodb.operators._ensure_credits_run import CreditsWaitRequest, EnsureCreditsRun

        waiting = CreditsWaitRequest(**self.parsed(*WAIT_ARGUMENTS, "credits", "settle_timeout"))
        return EnsureCreditsRun(self, context, waiting)
