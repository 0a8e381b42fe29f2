"""From an Airflow connection to VideoDB's billing API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, mask_secret

from airflow_provider_videodb.addresses import is_loopback
from airflow_provider_videodb.arguments import credits_argument
from airflow_provider_videodb.client import (
    DEFAULT_BASE_URL,
    DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT,
    BillingClient,
    require_whole_dollars,
)
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBError, VideoDBNoConnectionError
from airflow_provider_videodb.fields import to_decimal, to_json_number
from airflow_provider_videodb.limits import SpendLimits, check_limits

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_videodb.models import AutoRecharge, Checkout, Invoice, Usage

_MAX_TIMEOUT = 3600
_MAX_RETRIES = 10
_FIELDS = ("timeout", "max_retries", "max_topup_amount", "monthly_topup_limit")


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """What a ``videodb`` connection says, checked. The key is left out of ``repr``."""

    api_key: str
    base_url: str
    timeout: float
    max_retries: int
    limits: SpendLimits

    def __repr__(self) -> str:
        return f"<ConnectionSettings {self.base_url}>"

    @classmethod
    def from_connection(cls, connection: Connection) -> ConnectionSettings:
        """
        Read a connection that came from the UI, a URI, JSON or the command line.

        :raises VideoDBConfigError: naming the connection, the field, its value and the rule.
        """
        conn_id = connection.conn_id
        if connection.conn_type != VideoDBBillingHook.conn_type:
            # Its password is somebody else's, and VideoDB must not be handed it.
            raise VideoDBConfigError(
                f"Connection {conn_id!r} is of the type {connection.conn_type!r}; it must be "
                f"{VideoDBBillingHook.conn_type!r}. Name another connection, or correct its type."
            )
        if not connection.password:
            raise VideoDBConfigError(f"Connection {conn_id!r} has no password. Put VideoDB's API key (sk-…) there.")
        # Airflow puts the path of a URI there, so that VideoDB would be called without it.
        if connection.schema not in (None, "", "http", "https"):
            raise VideoDBConfigError(
                f"Connection {conn_id!r} has the schema {connection.schema!r}, which is not used. A path belongs into "
                "the host, as part of a whole URL; otherwise leave the schema empty."
            )
        extra = _read_extra(conn_id, connection.extra)
        timeout = _field(conn_id, extra, "timeout", low=Decimal("0.001"), high=_MAX_TIMEOUT)
        max_retries = _field(conn_id, extra, "max_retries", high=_MAX_RETRIES, whole=True)
        return cls(
            api_key=connection.password,
            base_url=_base_url(connection.host, connection.port),
            timeout=DEFAULT_TIMEOUT if timeout is None else float(timeout),
            max_retries=DEFAULT_MAX_RETRIES if max_retries is None else int(max_retries),
            limits=SpendLimits(
                max_topup_amount=_field(conn_id, extra, "max_topup_amount"),
                monthly_topup_limit=_field(conn_id, extra, "monthly_topup_limit"),
            ),
        )


class VideoDBBillingHook(BaseHook):
    """
    VideoDB's billing API on an Airflow connection.

    The calls and their guarantees are those of :class:`~airflow_provider_videodb.client.BillingClient`; those that
    buy also keep the spending limits of the connection.

    :param videodb_conn_id: a connection of type ``videodb``: API key in the password, base URL in the host (empty
        means production), and the fields ``timeout`` (seconds), ``max_retries``, ``max_topup_amount`` and
        ``monthly_topup_limit`` (US dollars) in the extra.
    :raises VideoDBConfigError: on the first call, if there is no such connection or a field of it breaks a rule.
    """

    conn_name_attr = "videodb_conn_id"
    default_conn_name = "videodb_default"
    conn_type = "videodb"
    hook_name = "VideoDB"

    def __init__(self, videodb_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.videodb_conn_id = videodb_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Label the form on Airflow 3.0 and 3.1; later ones read the same from the provider info."""
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
    def _client(self) -> BillingClient:
        return _client_for(self.settings, max_retries=self.settings.max_retries)

    def get_conn(self) -> BillingClient:
        """Return the client of this connection, the same one each time."""
        return self._client

    def get_poll_client(self) -> BillingClient:
        """Return a client for whoever looks again and again: it tries nothing again by itself, the next look does."""
        return poll_client(self.settings)

    async def aget_poll_client(self) -> BillingClient:
        """Return the same in a trigger, where the connection cannot be read synchronously."""
        return poll_client(await self.aget_settings())

    async def aget_settings(self) -> ConnectionSettings:
        """Read the connection in a trigger and check it; anew at each call, since it may name another account."""
        from airflow.providers.common.compat.connection import get_async_connection

        try:
            # Reading a connection registers its password with the masker on the way.
            connection = await get_async_connection(self.videodb_conn_id, hook=self)
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
        :class:`~airflow_provider_videodb.operators.billing.TopupOperator`.

        :raises VideoDBLimitExceededError: if a limit would be broken. Nothing was bought.
        """
        self._check_limits(amount)
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

        A payment keeps the limits of the connection. The price of a subscription is VideoDB's and unknown before it
        is bought, so no limit can hold it.

        :raises VideoDBLimitExceededError: if a limit would be broken. Nothing was bought.
        """
        if amount is not None:
            self._check_limits(amount)
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
            threshold=None if threshold is None else credits_argument("threshold", threshold),
            amount=None if amount is None else credits_argument("amount", amount),
        )

    def _check_limits(self, amount: int) -> None:
        require_whole_dollars(amount)
        limits = self.settings.limits
        checkouts = self.list_checkouts() if limits.monthly_topup_limit is not None else []
        check_limits(amount, limits, checkouts=checkouts, now=datetime.now(UTC))


def poll_client(settings: ConnectionSettings) -> BillingClient:
    """Return a client for whoever looks again and again: it tries nothing again by itself, the next look does."""
    return _client_for(settings, max_retries=0)


def _client_for(settings: ConnectionSettings, *, max_retries: int) -> BillingClient:
    return BillingClient(
        settings.api_key, base_url=settings.base_url, timeout=settings.timeout, max_retries=max_retries
    )


def _no_such_connection(conn_id: str) -> VideoDBNoConnectionError:
    return VideoDBNoConnectionError(
        f"Airflow has no connection {conn_id!r} (videodb_conn_id). Add it in the UI under Admin, Connections, or with: "
        f"airflow connections add {conn_id} --conn-type videodb --conn-password API_KEY. "
        f"If it is in AIRFLOW_CONN_{conn_id.upper()}, Airflow cannot read what is written there."
    )


def _base_url(host: str | None, port: int | None) -> str:
    """Build the URL from what the forms of a connection leave: a whole URL, or a host with or without a port."""
    if not host:
        return DEFAULT_BASE_URL
    host = host.strip()
    if host.count(":") > 1 and "[" not in host and "/" not in host:
        # From a URI, an IPv6 address comes without its brackets.
        host = f"[{host}]"
    try:
        if "://" not in host:
            # A bare loopback host is the emulator, which speaks plain HTTP.
            host = f"{'http' if is_loopback('//' + host) else 'https'}://{host}"
        parts = urlsplit(host)
        if port and parts.port is None:
            host = parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
    except ValueError:
        # The client says what is wrong with it.
        pass
    return host


def _read_extra(conn_id: str | None, extra: str | None) -> Mapping[str, Any]:
    """
    Read the extra strictly.

    Airflow reads a broken extra as an empty one, and a misspelt field would be passed over: a limit that its owner
    believes in would then not hold.
    """
    try:
        fields = json.loads(extra) if extra and extra.strip() else {}
    except ValueError:
        fields = None
    if not isinstance(fields, Mapping):
        raise VideoDBConfigError(f"The extra of connection {conn_id!r} is not a JSON object. Correct it.")
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise VideoDBConfigError(
            f"The extra of connection {conn_id!r} has the field {unknown[0]!r}, which is none of {', '.join(_FIELDS)}. "
            "Correct its spelling or remove it."
        )
    return fields


def _field(
    conn_id: str | None,
    extra: Mapping[str, Any],
    name: str,
    *,
    low: Decimal | int = 0,
    high: int | None = None,
    whole: bool = False,
) -> Decimal | None:
    value = extra.get(name)
    # The form leaves "" or null behind where a field was emptied.
    if value is None or value == "":
        return None
    try:
        number = to_decimal(value)
    except ValueError:
        number = None
    if (
        number is None
        or number < low
        or (high is not None and number > high)
        or (whole and number != number.to_integral_value())
    ):
        kind = "a whole number" if whole else "a number"
        bounds = f"from {low:g} up" if high is None else f"from {low:g} to {high}"
        raise VideoDBConfigError(
            f"Connection {conn_id!r}: {name} in the extra is {value!r}; it must be {kind} {bounds}. Correct it."
        )
    return number
