"""The Airflow connection, checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_videodb.api.client import DEFAULT_BASE_URL, DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT
from airflow_provider_videodb.api.parsing import to_decimal
from airflow_provider_videodb.api.transport import CONNECT_TIMEOUT
from airflow_provider_videodb.api.urls import is_loopback
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.purchases.rules.limits import SpendLimits

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

CONN_TYPE = "videodb"

_MAX_TIMEOUT = 3600
_MAX_RETRIES = 10
_FIELDS = ("timeout", "max_retries", "max_topup_amount", "monthly_topup_limit")
_FINGERPRINT_LENGTH = 16


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

    @property
    def post_timeout(self) -> float:
        """Seconds after which a request has ended one way or the other: reaching the host, and its answer."""
        return 2 * CONNECT_TIMEOUT + self.timeout

    @property
    def fingerprint(self) -> str:
        """
        Tells one account from another, without telling the key.

        It is a part of a hash of base URL and key, so it changes when either does: a new key of the same account
        looks like another account.
        """
        account = f"{self.base_url.rstrip('/')}\x1f{self.api_key}"
        return hashlib.sha256(account.encode()).hexdigest()[:_FINGERPRINT_LENGTH]

    @classmethod
    def from_connection(cls, connection: Connection) -> ConnectionSettings:
        """
        Read a connection that came from the UI, a URI, JSON or the command line.

        A field of the extra that is absent or null is not set. An empty one is refused: an unset variable may have
        left it so, and a limit that its owner believes in would then not hold.

        :raises VideoDBConfigError: naming the connection, the field, its value and the rule.
        """
        conn_id = connection.conn_id
        if connection.conn_type != CONN_TYPE:
            # Its password is somebody else's, and VideoDB must not be handed it.
            raise VideoDBConfigError(
                f"Connection {conn_id!r} is of the type {connection.conn_type!r}; it must be {CONN_TYPE!r}. Name "
                "another connection, or correct its type."
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
                conn_id=conn_id,
            ),
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
    # The form of the UI leaves null behind where a number was removed.
    if value is None:
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
        is_empty = isinstance(value, str) and not value.strip()
        found = "empty, as an unset variable leaves it" if is_empty else repr(value)[:80]
        raise VideoDBConfigError(
            f"Connection {conn_id!r}: {name} in the extra is {found}; it must be {kind} {bounds}. Nothing was sent. "
            f"Next step: correct it, or take {name} out of the extra if it is not meant to be set."
        )
    return number
