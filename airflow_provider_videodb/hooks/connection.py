"""Checks the fields of an Airflow connection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_provider_videodb.api.client import DEFAULT_BASE_URL, DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT
from airflow_provider_videodb.api.parsing import TOO_LARGE, to_decimal
from airflow_provider_videodb.api.redaction import QUOTED_RUN, Redactor
from airflow_provider_videodb.api.transport import CONNECT_TIMEOUT
from airflow_provider_videodb.api.urls import check_api_key, check_base_url, is_loopback
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import LONGEST_SETTLEMENT_MS
from airflow_provider_videodb.purchases.rules.approval import ApprovalPolicy
from airflow_provider_videodb.purchases.rules.limits import SpendLimits

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

CONN_TYPE = "videodb"

_MAX_TIMEOUT = 3600
_MAX_RETRIES = 10
_DEFAULT_SETTLEMENT_MINUTES = 20
_FIELDS = (
    "timeout",
    "max_retries",
    "max_topup_amount",
    "monthly_topup_limit",
    "approval_above",
    "credit_account",
    "credit_reserve",
    "settlement_minutes",
)
_FINGERPRINT_LENGTH = 16
#: How VideoDB's keys begin. Airflow writes the dash as an underscore in the type of a connection.
_KEY_LIKE = re.compile(r"sk[-_][\x21-\x7e]{8,}")


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """
    The checked fields of a ``videodb`` connection.

    :param api_key: the password of the connection.
    :param base_url: its host, by default VideoDB's own address.
    :param timeout: seconds in which a whole response has to arrive.
    :param max_retries: how often a failed read is retried.
    :param limits: the most that one purchase, and all purchases of a month, may cost.
    :param approval_above: a person has to approve a purchase above this many US dollars; ``None`` asks nobody.
    :param credit_account: the name under which connections of one account share their holds.
    :param credit_reserve: credits that no gate may use.
    :param settlement_minutes: how long released credits count as held, because their spending may not show yet.
    """

    api_key: str
    base_url: str
    timeout: float
    max_retries: int
    limits: SpendLimits
    approval_above: Decimal | None = None
    credit_account: str = ""
    credit_reserve: Decimal = Decimal(0)
    settlement_minutes: Decimal = Decimal(_DEFAULT_SETTLEMENT_MINUTES)

    def __repr__(self) -> str:
        # Without the key.
        return f"<ConnectionSettings {self.base_url}>"

    @property
    def post_timeout(self) -> float:
        """Seconds after which a POST has ended, with or without a response."""
        return 2 * CONNECT_TIMEOUT + self.timeout

    @property
    def approval_policy(self) -> ApprovalPolicy:
        """The purchases that a person has to approve, whatever a DAG says."""
        return ApprovalPolicy(connection_above=self.approval_above, conn_id=self.limits.conn_id)

    @property
    def settlement_ms(self) -> int:
        """Milliseconds for which released credits count as held."""
        return int(self.settlement_minutes * 60_000)

    @property
    def fingerprint(self) -> str:
        """
        Identify the account without revealing the key.

        It is part of a hash of base URL and key. A new key of the same account therefore looks like another account.
        """
        account = f"{self.base_url.rstrip('/')}\x1f{self.api_key}"
        return hashlib.sha256(account.encode()).hexdigest()[:_FINGERPRINT_LENGTH]

    @classmethod
    def from_connection(cls, connection: Connection) -> ConnectionSettings:
        """
        Check a connection from the UI, a URI, JSON or the command line.

        A field of the extra that is absent or null is not set. An empty field is an error, because an unset variable
        may have left it empty. Its owner would otherwise believe in a limit that does not exist.

        :raises VideoDBConfigError: with the connection, the field, its value and the rule.
        """
        try:
            return cls._checked(connection)
        except VideoDBConfigError as err:
            # Somebody may have entered the key in another field, whose value the error quotes.
            redacted = Redactor(connection.password or "", run=QUOTED_RUN)(_KEY_LIKE.sub("***", str(err)))
        raise VideoDBConfigError(redacted)

    @classmethod
    def _checked(cls, connection: Connection) -> ConnectionSettings:
        conn_id = connection.conn_id
        api_key, base_url = _api_key(connection), _base_url(connection)
        extra = _read_extra(conn_id, connection.extra)
        timeout = _field(conn_id, extra, "timeout", low=Decimal("0.001"), high=_MAX_TIMEOUT)
        max_retries = _field(conn_id, extra, "max_retries", high=_MAX_RETRIES, whole=True)
        reserve = _field(conn_id, extra, "credit_reserve")
        settlement = _field(conn_id, extra, "settlement_minutes", high=LONGEST_SETTLEMENT_MS // 60_000)
        credit_account = _text(conn_id, extra, "credit_account") or str(conn_id)
        for name, value in (("host", base_url), ("credit_account", credit_account)):
            _refuse_key(conn_id, name, value, api_key=api_key)
        return cls(
            api_key=api_key,
            base_url=base_url,
            timeout=DEFAULT_TIMEOUT if timeout is None else float(timeout),
            max_retries=DEFAULT_MAX_RETRIES if max_retries is None else int(max_retries),
            limits=SpendLimits(
                max_topup_amount=_field(conn_id, extra, "max_topup_amount"),
                monthly_topup_limit=_field(conn_id, extra, "monthly_topup_limit"),
                conn_id=conn_id,
            ),
            approval_above=_field(conn_id, extra, "approval_above"),
            credit_account=credit_account,
            credit_reserve=Decimal(0) if reserve is None else reserve,
            settlement_minutes=Decimal(_DEFAULT_SETTLEMENT_MINUTES) if settlement is None else settlement,
        )


def _api_key(connection: Connection) -> str:
    conn_id = connection.conn_id
    if connection.conn_type != CONN_TYPE:
        # VideoDB must not receive the password of another service.
        raise VideoDBConfigError(
            f"Connection {conn_id!r} has the type {connection.conn_type!r}; it must be {CONN_TYPE!r}. Nothing was "
            "sent. Next step: name another connection, or correct its type."
        )
    if not connection.password:
        raise VideoDBConfigError(
            f"Connection {conn_id!r} has no password. Nothing was sent. Next step: enter VideoDB's API key (sk-…) "
            "as its password."
        )
    return check_api_key(connection.password)


def _refuse_key(conn_id: str | None, name: str, value: str, *, api_key: str) -> None:
    """
    Refuse a field that contains the key.

    :param value: appears in logs and in the names of Variables.
    """
    # A shorter key, such as that of an emulator, may be a part of a name by chance.
    if len(api_key) >= QUOTED_RUN and unquote(api_key) in unquote(value):
        raise VideoDBConfigError(
            f"Connection {conn_id!r} has the API key in its {name}, where logs would show it. Nothing was sent. "
            f"Next step: enter the key as the password only, and correct the {name}."
        )


def _base_url(connection: Connection) -> str:
    conn_id = connection.conn_id
    # Airflow reads the path of a URI as the schema. VideoDB would be called without that path.
    if connection.schema not in (None, "", "http", "https"):
        raise VideoDBConfigError(
            f"Connection {conn_id!r} has the schema {connection.schema!r}, which is not used. Nothing was sent. "
            "Next step: leave the schema empty, and enter a path as part of the host. In a URI, percent-encode "
            "the whole base URL:\nvideodb://:API_KEY@https%3A%2F%2Fapi.videodb.io%2Fpath"
        )
    try:
        return check_base_url(_whole_url(connection.host, connection.port))
    except VideoDBConfigError as err:
        raise VideoDBConfigError(f"Connection {conn_id!r} has an unusable host. {err}") from None


def _whole_url(host: str | None, port: int | None) -> str:
    """Build the URL from a host field, which may be a whole URL, and a port field."""
    if not host:
        return DEFAULT_BASE_URL
    host = host.strip()
    if host.count(":") > 1 and "[" not in host and "/" not in host:
        # Airflow removes the brackets from an IPv6 address in a URI.
        host = f"[{host}]"
    # check_base_url() says what is wrong with a URL that cannot be split.
    with suppress(ValueError):
        if "://" not in host:
            # A loopback host without a scheme is the emulator, which speaks plain HTTP.
            host = f"{'http' if is_loopback('//' + host) else 'https'}://{host}"
        parts = urlsplit(host)
        if port and parts.port is None:
            host = parts._replace(netloc=f"{parts.netloc}:{port}").geturl()
    return host


def _read_extra(conn_id: str | None, extra: str | None) -> Mapping[str, Any]:
    """
    Read the extra strictly.

    Airflow itself reads a broken extra as an empty one and ignores a misspelled field. Its owner would then believe in
    a limit that does not exist.
    """
    try:
        fields = json.loads(extra) if extra and extra.strip() else {}
    except ValueError:
        fields = None
    if not isinstance(fields, Mapping):
        raise VideoDBConfigError(
            f"Connection {conn_id!r}: the extra is not a JSON object. Nothing was sent. Next step: correct the extra."
        )
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise VideoDBConfigError(
            f"Connection {conn_id!r}: the extra has the unknown field {str(unknown[0])[:80]!r}. It may have "
            f"{', '.join(_FIELDS)}. Nothing was sent. Next step: correct the spelling, or remove the field."
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
    # The form in the UI saves null for a number that was removed.
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
        bounds = f"of {low:g} or more and below {TOO_LARGE}" if high is None else f"from {low:g} to {high}"
        is_empty = isinstance(value, str) and not value.strip()
        found = "empty, as an unset variable leaves it" if is_empty else repr(value)[:80]
        raise VideoDBConfigError(
            f"Connection {conn_id!r}: {name} in the extra is {found}; it must be {kind} {bounds}. Nothing was sent. "
            f"Next step: correct {name}, or remove it from the extra."
        )
    return number


def _text(conn_id: str | None, extra: Mapping[str, Any], name: str) -> str | None:
    value = extra.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise VideoDBConfigError(
            f"Connection {conn_id!r}: {name} in the extra is {repr(value)[:80]}; it must be text that is not empty. "
            f"Nothing was sent. Next step: correct {name}, or remove it from the extra."
        )
    return value
