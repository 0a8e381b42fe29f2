"""From an Airflow connection to VideoDB's billing API."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.exceptions import VideoDBError, VideoDBNoConnectionError
from airflow_provider_videodb.hooks.arguments import parse_credits
from airflow_provider_videodb.hooks.connection import CONN_TYPE, ConnectionSettings
from airflow_provider_videodb.hooks.limited_client import LimitedBillingClient
from airflow_provider_videodb.version_compat import AirflowNotFoundException

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.api.models import AutoRecharge, Checkout, Invoice, Usage


class VideoDBBillingHook(BaseHook):
    """
    VideoDB's billing API on an Airflow connection.

    The calls and their guarantees are those of :class:`~airflow_provider_videodb.api.client.BillingClient`. Those that
    buy keep the spending limits of the connection, here and on every client that this hook returns.

    :param videodb_conn_id: a connection of type ``videodb``: API key in the password, base URL in the host (empty
        means production), and the fields ``timeout`` (seconds), ``max_retries``, ``max_topup_amount`` and
        ``monthly_topup_limit`` (US dollars) in the extra.
    :raises VideoDBConfigError: on the first call, if there is no such connection or a field of it breaks a rule.
    """

    conn_name_attr = "videodb_conn_id"
    default_conn_name = "videodb_default"
    conn_type = CONN_TYPE
    hook_name = "VideoDB"

    def __init__(self, videodb_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.videodb_conn_id = videodb_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Label the form on Airflow 3.1; later ones read the same from the provider info."""
        from airflow_provider_videodb.get_provider_info import get_provider_info

        info: Any = get_provider_info()
        behaviour = info["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read once and checked."""
        try:
            connection = self.get_connection(self.videodb_conn_id)
        except AirflowNotFoundException as err:
            raise _no_such_connection(self.videodb_conn_id) from err
        settings = ConnectionSettings.from_connection(connection)
        mask_secret(settings.api_key)
        return settings

    @cached_property
    def _client(self) -> LimitedBillingClient:
        return LimitedBillingClient(self.settings, max_retries=self.settings.max_retries)

    def get_conn(self) -> BillingClient:
        """Return the client of this connection, the same one each time. What it buys keeps the limits."""
        return self._client

    def get_unlimited_client(self) -> BillingClient:
        """
        Return a client that keeps no spending limit.

        It is for this package's operators. They check the limits themselves, at the steps at which they also write
        down what they buy; a client that waits after its POST would leave the purchase unrecorded for that time.
        """
        settings = self.settings
        return BillingClient(
            settings.api_key,
            base_url=settings.base_url,
            timeout=settings.timeout,
            max_retries=settings.max_retries,
        )

    def get_poll_client(self) -> BillingClient:
        """Return a client for whoever looks again and again: it tries nothing again by itself, the next look does."""
        return poll_client(self.settings)

    async def aget_poll_client(self) -> BillingClient:
        """Return the same in a trigger, where the connection cannot be read synchronously."""
        return poll_client(await self.aget_settings())

    async def aget_settings(self) -> ConnectionSettings:
        """Read the connection in a trigger and check it; anew at each call, since it may name another account."""
        from asgiref.sync import sync_to_async

        try:
            # Reading a connection masks its password with a synchronous call. Made on the event loop of a triggerer
            # before Airflow 3.3.2, that call fails or stops every trigger.
            connection = await sync_to_async(self.get_connection)(self.videodb_conn_id)
        except AirflowNotFoundException as err:
            raise _no_such_connection(self.videodb_conn_id) from err
        return ConnectionSettings.from_connection(connection)

    def test_connection(self) -> tuple[bool, str]:
        """Read the balance, which buys and changes nothing, and say who answered or what to mend."""
        try:
            usage = self.get_usage()
        except VideoDBError as err:
            return False, str(err)
        balance = to_json_number(usage.credit_balance)
        return True, f"Reached VideoDB at {self.get_conn().base_url}; the credit balance is {balance}."

    def get_usage(self) -> Usage:
        """Return balance and consumption of the account, in credits."""
        return self.get_conn().get_usage()

    def topup(
        self,
        amount: int,
        *,
        currency: str | None = None,
        redirect_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Checkout:
        """
        Ask for a checkout over ``amount`` whole US dollars, within the limits of the connection.

        Each call asks for another one: what keeps a retry from paying twice is
        :class:`~airflow_provider_videodb.operators.topup.TopupOperator`.

        Under a monthly limit this takes some seconds, in which the list of checkouts is read once more: what others
        have bought at the same time counts as well. A link that breaks the limit is not returned, and its checkout
        expires unpaid.

        :raises VideoDBLimitExceededError: if a limit would be, or was, broken, or the month could not be checked
            again. No link was handed out. If a stored card was charged at once, the error says so.
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
        Ask for a checkout of a payment or of a subscription.

        A payment keeps the limits of the connection, as :meth:`topup` does. The price of a subscription is VideoDB's
        and not known before it is bought, so a limit cannot hold it.

        :raises VideoDBLimitExceededError: as for :meth:`topup`.
        """
        return self.get_conn().create_checkout(
            amount, mode=mode, plan_id=plan_id, success_url=success_url, cancel_url=cancel_url
        )

    def list_checkouts(self, limit: int | None = None) -> list[Checkout]:
        """Return the newest ``limit`` checkouts (default: all), newest first."""
        return self.get_conn().list_checkouts(limit)

    def list_invoices(self, limit: int | None = None) -> list[Invoice]:
        """Return the newest ``limit`` invoices (default: all), newest first."""
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
        Write the settings of automatic recharge and return what VideoDB says afterwards.

        :param threshold: credits below which VideoDB recharges; left as it is if ``None``.
        :param amount: credits that VideoDB adds; left as it is if ``None``.
        :raises VideoDBSettingsNotAppliedError: if what was read back is not what was written.
        """
        return self.get_conn().set_auto_recharge(
            enabled=enabled,
            threshold=None if threshold is None else parse_credits("threshold", threshold),
            amount=None if amount is None else parse_credits("amount", amount),
        )


def poll_client(settings: ConnectionSettings) -> BillingClient:
    """Return a client for whoever looks again and again: it tries nothing again by itself, the next look does."""
    return LimitedBillingClient(settings, max_retries=0)


def _no_such_connection(conn_id: str) -> VideoDBNoConnectionError:
    return VideoDBNoConnectionError(
        f"Airflow has no connection {conn_id!r} (videodb_conn_id). Add it in the UI under Admin, Connections, or with: "
        f"airflow connections add {conn_id} --conn-type videodb --conn-password API_KEY. "
        f"If it is in AIRFLOW_CONN_{conn_id.upper()}, Airflow cannot read what is written there."
    )
