"""Ensures that the account has enough credits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.hooks.arguments import (
    parse_credits,
    parse_dollars,
    parse_flag,
    parse_hold,
    parse_price,
    parse_priority,
    parse_seconds,
)
from airflow_provider_videodb.operators._arguments import NOT_GIVEN
from airflow_provider_videodb.operators._holding import HoldsCredits
from airflow_provider_videodb.operators._purchasing import WAIT_ARGUMENTS, PurchasingOperator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import BaseNotifier, Context

    from airflow_provider_videodb.hooks.arguments import Approver, HoldMode
    from airflow_provider_videodb.operators._arguments import Credits, Dollars, NotGiven, Text
    from airflow_provider_videodb.operators._ensure_credits_request import EnsureCreditsRequest
    from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun

#: The arguments that say how the task treats the holds of the account.
_GATE_ARGUMENTS = ("hold", "respect_holds", "priority")


class EnsureCreditsOperator(HoldsCredits, PurchasingOperator):
    """
    Wait for the credits of a job, and buy missing ones.

    The task reads the balance, buys what is missing, shows the payment link, and waits until the balance shows the
    payment. It succeeds only on a balance that it has just read. Credits that others hold and the connection's
    ``credit_reserve`` do not count as available.

    With ``hold=True``, the task also holds the credits, so that no other gate of the account counts on them. It holds
    them until a :class:`~airflow_provider_videodb.operators.release_credits.ReleaseCreditsOperator` or the end of the
    DAG run releases them. A gate that cannot hold them buys what is missing of the available credits. It waits without
    a purchase while the account is paused, and buys later if it then lacks credits. While it waits, its log and the
    XCom ``waiting`` say why, and at which place. A task that fails holds nothing.

    The guarantees of :class:`~airflow_provider_videodb.operators.topup.TopupOperator` hold for the purchase. If it is
    paid but the balance does not show it yet, the task waits and buys nothing more. VideoDB's balance lags by 5 to 15
    minutes. If the account is filled in another way before the checkout is paid, the task succeeds and logs that the
    link can still be paid.

    The wait shares its poll with the sensors of the same connection and interval. After each ``settle_timeout`` or
    ``payment_timeout``, a worker checks the payment for a moment. A worker also decides whenever the gate may open.

    The result (XCom ``return_value``) is a flat dict with the keys of ``TopupOperator`` and three more: ``held``, which
    is 0 without a hold, ``balance`` and ``available``. ``status`` is one of:

    - ``not_needed``: the credits were available from the start;
    - ``completed``: the task bought credits, and they are paid;
    - ``pending``: the credits are available without the payment, which the log describes;
    - ``filled``: the task bought nothing. The account was filled in another way, or credits were released.

    The task raises the errors of ``TopupOperator``, with one difference. It continues to wait if the list does not show
    the checkout. It raises :class:`~airflow_provider_videodb.exceptions.VideoDBCreditsMissingError` in three cases. The
    balance does not suffice within ``settle_timeout`` after the payment. Nobody fills the account within
    ``payment_timeout``. The balance suffices, but others keep the gate closed for ``payment_timeout``. If Airflow
    cannot list the holds, the gate stays closed and the task fails.

    :param credits: what the job needs, in credits. (templated)
    :param usd_per_credit: the price of one credit, in US dollars. (templated)
    :param min_amount: the least that a purchase may be, in whole US dollars. (templated)
    :param topup: ``False`` buys nothing, and waits until the account is filled in another way.
    :param settle_timeout: how long the balance may take to show a payment, as a timedelta or in seconds. The time does
        not count while others alone keep the gate closed.
    :param currency: is sent as given. VideoDB documents only ``usd``. (templated)
    :param redirect_url: the page that opens after the payment. By default a page of Airflow's API server, if the option
        ``[api] base_url`` begins with ``https://``, or names this machine. (templated)
    :param payment_timeout: how long one try waits for an approval, and then for the payment, as a timedelta or in
        seconds. Also how long it waits
        for others, and with ``topup=False`` for the credits.
    :param poll_interval: time between two polls of the balance, as a timedelta or in seconds.
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
    :param hold: hold ``credits``. ``"audit"`` holds nothing, and logs what a hold would do. Needs Airflow 3.3.
    :param respect_holds: do not count what others hold as available. ``False`` excludes ``hold=True``. It has no effect
        before Airflow 3.3.
    :param priority: in the queue of gates with a hold, a higher number goes first.
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
        approval: bool = False,
        approval_above: Credits | NotGiven = NOT_GIVEN,
        approvers: Sequence[Approver] | None = None,
        notifiers: Sequence[BaseNotifier] = (),
        remind_every: timedelta | float | None = None,
        deferrable: bool = True,
        videodb_conn_id: Text = "videodb_default",
        hold: HoldMode = False,
        respect_holds: bool = True,
        priority: int = 0,
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
        self.credits = self.templated("credits", credits, parse_credits)
        self.usd_per_credit = self.templated("usd_per_credit", usd_per_credit, parse_price)
        self.min_amount = self.templated("min_amount", min_amount, parse_dollars)
        self.topup = self.plain("topup", topup, parse_flag)
        self.settle_timeout = self.plain("settle_timeout", settle_timeout, parse_seconds)
        self.hold = self.plain("hold", hold, parse_hold)
        self.respect_holds = self.plain("respect_holds", respect_holds, parse_flag)
        self.priority = self.plain("priority", priority, parse_priority)
        with self._fail_mapped_task():
            self.reject_hold_that_ignores_others(respect_holds=respect_holds)

    def _start(self, context: Context) -> EnsureCreditsRun:
        from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun

        request = self._request()
        return EnsureCreditsRun(self, context, request, request, parse_request=self._request)

    def _resume(self, context: Context) -> EnsureCreditsRun:
        from airflow_provider_videodb.operators._ensure_credits_request import CreditsWaitRequest
        from airflow_provider_videodb.operators._ensure_credits_run import EnsureCreditsRun

        waiting = CreditsWaitRequest(**self.parsed(*WAIT_ARGUMENTS, *_GATE_ARGUMENTS, "credits", "settle_timeout"))
        return EnsureCreditsRun(self, context, waiting, parse_request=self._request)

    def _request(self) -> EnsureCreditsRequest:
        from airflow_provider_videodb.operators._ensure_credits_request import EnsureCreditsRequest

        return EnsureCreditsRequest(**self.parsed())
