"""VideoDB's billing API on an Airflow connection."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from airflow_provider_videodb import metrics
from airflow_provider_videodb.hooks.arguments import parse_credits, parse_flag
from airflow_provider_videodb.hooks.limited_client import LimitedBillingClient
from airflow_provider_videodb.hooks.videodb import VideoDBHook

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.api.client import BillingClient
    from airflow_provider_videodb.api.models import AutoRecharge, Checkout, Invoice, Usage
    from airflow_provider_videodb.hooks.connection import ConnectionSettings


class VideoDBBillingHook(VideoDBHook):
    """
    VideoDB's billing API on an Airflow connection.

    The calls have the guarantees of :class:`~airflow_provider_videodb.api.client.BillingClient`. Purchases keep the
    spending limits of the connection, both here and on the clients that this hook returns. What a person has to approve
    (``approval_above``) is refused, because only the operators can ask.

    :param videodb_conn_id: see :class:`~airflow_provider_videodb.hooks.videodb.VideoDBHook`.
    :raises VideoDBConfigError: on first use, if the connection is missing or one of its fields breaks a rule.
    """

    @cached_property
    def _client(self) -> LimitedBillingClient:
        return LimitedBillingClient(self.settings, max_retries=self.settings.max_retries)

    def get_conn(self) -> BillingClient:
        """Return the client of this connection. Its purchases keep the limits."""
        return self._client

    def get_poll_client(self) -> BillingClient:
        """Return a client for polling, which does not retry."""
        return poll_client(self.settings)

    async def aget_poll_client(self) -> BillingClient:
        """Return a client for polling in a trigger, which reads the connection asynchronously."""
        return poll_client(await self.aget_settings())

    def get_usage(self) -> Usage:
        """Return balance and consumption, in credits."""
        usage = self.get_conn().get_usage()
        metrics.send(metrics.BALANCE, usage.credit_balance, conn_id=self.videodb_conn_id)
        return usage

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Checkout:
        """
        Create a checkout within the limits of the connection.

        Every call creates another checkout.
        :class:`~airflow_provider_videodb.operators.topup.TopupOperator` is what keeps a retry from buying twice.

        A monthly limit delays the result by some seconds. The hook reads the list of checkouts again meanwhile,
        because purchases of others count too. A link that would exceed the limit is not returned. Its checkout
        expires unpaid.

        :param amount: whole US dollars.
        :param currency: sent unchanged. VideoDB documents only ``usd``.
        :param redirect_url: the page that the person sees after paying.
        :param idempotency_key: the same for every try of one purchase; random by default.
        :raises VideoDBConfigError: if ``amount`` is not a whole number above 0. Nothing was sent.
        :raises VideoDBLimitExceededError: if a limit would be exceeded or cannot be checked. No link was returned. The
            error says whether a stored card may have been charged.
        :raises VideoDBApprovalMissingError: if ``amount`` is above ``approval_above`` of the connection. Nothing was
            sent.
        """
        return self.get_conn().topup(
            amount, currency=currency, redirect_url=redirect_url, idempotency_key=idempotency_key
        )

    def create_checkout(
        self,
        amount: int | None = None,
        *,
        mode: Literal["payment", "subscription"] = "payment",
        plan_id: str | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
    ) -> Checkout:
        """
        Create a checkout for a payment or a subscription.

        A checkout with an ``amount`` keeps the limits of the connection, as :meth:`topup` does. VideoDB does not tell
        the price of a subscription before it is bought, so no limit can apply to it.

        :param amount: whole US dollars of a payment.
        :param mode: ``payment`` needs an ``amount``, ``subscription`` needs a ``plan_id``.
        :param plan_id: the plan of a subscription.
        :param success_url: the page that the person sees after paying.
        :param cancel_url: the page that the person sees after cancelling.
        :raises VideoDBConfigError: see :meth:`topup`.
        :raises VideoDBLimitExceededError: see :meth:`topup`.
        :raises VideoDBApprovalMissingError: see :meth:`topup`. Also for each subscription, if the connection has
            ``approval_above``.
        """
        return self.get_conn().create_checkout(
            amount, mode=mode, plan_id=plan_id, success_url=success_url, cancel_url=cancel_url
        )

    def list_checkouts(self, limit: int | None = None) -> list[Checkout]:
        """Return the newest ``limit`` checkouts, or all of them, newest first."""
        return self.get_conn().list_checkouts(limit)

    def list_invoices(self, limit: int | None = None) -> list[Invoice]:
        """Return the newest ``limit`` invoices, or all of them, newest first."""
        return self.get_conn().list_invoices(limit)

    def get_auto_recharge(self) -> AutoRecharge:
        """Return the settings of automatic recharge, in credits."""
        return self.get_conn().get_auto_recharge()

    def set_auto_recharge(
        self,
        *,
        enabled: bool,
        threshold: Decimal | float | str | None = None,
        amount: Decimal | float | str | None = None,
    ) -> AutoRecharge:
        """
        Change the settings of automatic recharge and return them.

        :param enabled: whether VideoDB recharges the account.
        :param threshold: VideoDB recharges below this number of credits; ``None`` keeps it.
        :param amount: VideoDB adds this number of credits; ``None`` keeps it.
        :raises VideoDBConfigError: if an argument breaks a rule. Nothing was sent.
        :raises VideoDBSettingsNotAppliedError: if VideoDB afterwards returns other settings.
        :raises VideoDBApprovalMissingError: if it would be on and the connection has ``approval_above``, because
            VideoDB would buy without an approval. Nothing was sent.
        """
        return self.get_conn().set_auto_recharge(
            enabled=parse_flag("enabled", enabled),
            threshold=None if threshold is None else parse_credits("threshold", threshold),
            amount=None if amount is None else parse_credits("amount", amount),
        )


def poll_client(settings: ConnectionSettings) -> BillingClient:
    """Return a client for polling. It does not retry, because the next poll does."""
    return LimitedBillingClient(settings, max_retries=0)
