"""The settings of an emulator and the check of each."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.values import boolean_of, describe, lenient_decimal_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_videodb.emulator.values import Number

_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}")

DEFAULT_API_KEY = "sk-emulator-not-a-secret"

Dialect = Literal["openapi", "sample"]
Idempotency = Literal["honour", "ignore"]
OnShortage = Literal["refuse", "fail_job"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    The behaviour of an emulator, checked by `create` and `changed`.

    :param api_key: the only key that the emulator accepts.
    :param credits: the balance at the start, in credits.
    :param dialect: the form of responses. ``openapi`` follows VideoDB's OpenAPI document, ``sample`` the sample code
        in its reference. The emulator understands the requests of both.
    :param credits_per_dollar: credits that one paid dollar adds.
    :param checkout_ttl: seconds until an unpaid checkout expires. VideoDB documents 24 hours. The operators do not
        believe an earlier expiry and stop with an error.
    :param pay_after: seconds until the emulator pays a checkout itself. None leaves the payment to a person.
    :param usage_lag: seconds until a change appears in the usage figures.
    :param list_lag: seconds until a new checkout appears in the list.
    :param stored_card: whether the account has a payment method. Auto-recharge needs one.
    :param charge_stored_card: whether a top-up charges the stored card at once.
    :param idempotency: whether purchases honour the Idempotency-Key header.
    :param price_index: credits per indexing job. None charges by the minute or by the scene.
    :param price_speech_minute: dollars per started minute of indexed speech.
    :param price_scene: dollars per indexed scene.
    :param index_duration: seconds that an indexing job takes. None keeps it at 0 %.
    :param upload_duration: seconds that an upload takes. The response to an upload of 0 seconds has the video.
    :param response_ttl: seconds after the end of a job until its async response is gone. None keeps it.
    :param allowed_hosts: names besides 127.0.0.1 and localhost by which callers may reach the emulator, for example
        through a TLS proxy. Without this check a page of any site could pay a checkout.
    :param callback_hosts: names besides 127.0.0.1 and localhost to which a ``callback_url`` may lead.
    :param on_shortage: what happens to an indexing job without enough credits. ``refuse`` rejects it with 402.
        ``fail_job`` accepts it, and the job ends as failed.
    """

    api_key: str = DEFAULT_API_KEY
    credits: Decimal = Decimal(3)
    dialect: Dialect = "openapi"
    credits_per_dollar: Decimal = Decimal(1)
    checkout_ttl: Decimal = Decimal(86400)
    pay_after: Decimal | None = None
    usage_lag: Decimal = Decimal(0)
    list_lag: Decimal = Decimal(0)
    stored_card: bool = True
    charge_stored_card: bool = False
    idempotency: Idempotency = "ignore"
    price_index: Decimal | None = None
    # Examples from VideoDB's price file of 2024. VideoDB may charge other prices today.
    price_speech_minute: Decimal = Decimal("0.02")
    price_scene: Decimal = Decimal("0.0125")
    index_duration: Decimal | None = Decimal(0)
    upload_duration: Decimal = Decimal(0)
    response_ttl: Decimal | None = None
    on_shortage: OnShortage = "refuse"
    allowed_hosts: tuple[str, ...] = ()
    callback_hosts: tuple[str, ...] = ()

    @classmethod
    def create(cls, values: Mapping[str, Any]) -> Settings:
        """Return the defaults, overridden by checked `values`."""
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return these settings, overridden by checked `values`."""
        unknown = sorted(set(values) - set(_CHECKS))
        if unknown:
            raise InvalidValueError(f"unknown setting {', '.join(unknown)}; known are {', '.join(_CHECKS)}")
        checked: dict[str, Any] = {name: _CHECKS[name](name, value) for name, value in values.items()}
        return dataclasses.replace(self, **checked)

    def public(self) -> dict[str, Any]:
        """Return the settings without the API key."""
        values = dataclasses.asdict(self)
        del values["api_key"]
        return values


class SettingsArguments(TypedDict, total=False):
    """`Settings` as keyword arguments, before they are checked."""

    api_key: str
    credits: Number
    dialect: Dialect
    credits_per_dollar: Number
    checkout_ttl: Number
    pay_after: Number | None
    usage_lag: Number
    list_lag: Number
    stored_card: bool
    charge_stored_card: bool
    idempotency: Idempotency
    price_index: Number | None
    price_speech_minute: Number
    price_scene: Number
    index_duration: Number | None
    upload_duration: Number
    response_ttl: Number | None
    on_shortage: OnShortage
    allowed_hosts: Sequence[str]
    callback_hosts: Sequence[str]


def _optional(name: str, value: object) -> Decimal | None:
    # A command line cannot write None.
    return None if value in (None, "never") else lenient_decimal_of(name, value)


def _positive(name: str, value: object) -> Decimal:
    return lenient_decimal_of(name, value, above=0)


def _one_of(*choices: str) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidValueError(f"{name} must be one of {', '.join(choices)}, got {describe(value)}")
        return value

    return check


def _key(name: str, value: object) -> str:
    text = text_of(name, value)
    # Clients send the key in a header, which allows printable ASCII only.
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise InvalidValueError(f"{name} must be printable ASCII without surrounding spaces")
    return text


def _hosts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidValueError(f"{name} must be a list of host names, got {describe(value)}")
    for host in value:
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise InvalidValueError(f"{name} must be host names without a port, got {describe(host)}")
    return tuple(host.lower() for host in value)


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "api_key": _key,
    "credits": lenient_decimal_of,
    "dialect": _one_of(*get_args(Dialect)),
    "credits_per_dollar": _positive,
    "checkout_ttl": _positive,
    "pay_after": _optional,
    "usage_lag": lenient_decimal_of,
    "list_lag": lenient_decimal_of,
    "stored_card": boolean_of,
    "charge_stored_card": boolean_of,
    "idempotency": _one_of(*get_args(Idempotency)),
    "price_index": _optional,
    "price_speech_minute": lenient_decimal_of,
    "price_scene": lenient_decimal_of,
    "index_duration": _optional,
    "upload_duration": lenient_decimal_of,
    "response_ttl": _optional,
    "on_shortage": _one_of(*get_args(OnShortage)),
    "allowed_hosts": _hosts,
    "callback_hosts": _hosts,
}
