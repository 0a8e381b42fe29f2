"""Everything about an emulator that a caller can choose, with the check of each value."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from airflow_provider_videodb.emulator.account.values import boolean_of, describe, lenient_decimal_of, text_of
from airflow_provider_videodb.emulator.http.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_videodb.emulator.account.values import Number

DEFAULT_API_KEY = "sk-emulator-not-a-secret"

Dialect = Literal["openapi", "sample"]
Idempotency = Literal["honour", "ignore"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    How an emulator behaves. Build one with `create` or `changed`, which check every value.

    :param api_key: the one key that is let in.
    :param credits: credits the account starts with.
    :param dialect: answer by the OpenAPI part of VideoDB's reference, or by the sample code beside it.
    :param credits_per_dollar: what a paid dollar buys.
    :param checkout_ttl: seconds after which an unpaid checkout expires.
    :param pay_after: seconds after which every pending checkout is paid by itself; None leaves that to a person.
    :param usage_lag: seconds by which the usage figures are behind.
    :param list_lag: seconds before a new checkout shows in the list.
    :param stored_card: a payment method is on file; auto-recharge needs it.
    :param charge_stored_card: a top-up is charged to the stored card at once, without a visit to its link.
    :param idempotency: whether the Idempotency-Key header of a purchase is honoured or ignored.
    :param price_upload: credits per uploaded file.
    :param price_index: credits per indexed video, whatever its length; None charges by the two prices below.
    :param price_speech_minute: dollars per started minute of indexed speech.
    :param price_scene: dollars per indexed scene.
    :param video_length: seconds every uploaded video lasts; None derives a length from its source.
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
    price_upload: Decimal = Decimal(0)
    price_index: Decimal | None = None
    # VideoDB's price sheet of 2024, as an example: not what VideoDB charges today.
    price_speech_minute: Decimal = Decimal("0.02")
    price_scene: Decimal = Decimal("0.0125")
    video_length: Decimal | None = None

    @classmethod
    def create(cls, values: Mapping[str, Any]) -> Settings:
        """Return the defaults with `values` put over them; raise `InvalidValueError` naming what is wrong."""
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return these settings with `values` put over them; raise `InvalidValueError` naming what is wrong."""
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
    """The same, as keyword arguments."""

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
    price_upload: Number
    price_index: Number | None
    price_speech_minute: Number
    price_scene: Number
    video_length: Number | None


def _optional(name: str, value: object) -> Decimal | None:
    return None if value is None else lenient_decimal_of(name, value)


def _positive(name: str, value: object) -> Decimal:
    return lenient_decimal_of(name, value, above=0)


def _optional_positive(name: str, value: object) -> Decimal | None:
    return None if value is None else _positive(name, value)


def _one_of(*choices: str) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise InvalidValueError(f"{name} must be one of {', '.join(choices)}, got {describe(value)}")
        return value

    return check


def _key(name: str, value: object) -> str:
    text = text_of(name, value)
    # It travels in an HTTP header.
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise InvalidValueError(f"{name} must be printable ASCII without surrounding spaces")
    return text


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "api_key": _key,
    "credits": lenient_decimal_of,
    "dialect": _one_of("openapi", "sample"),
    "credits_per_dollar": _positive,
    "checkout_ttl": _positive,
    "pay_after": _optional,
    "usage_lag": lenient_decimal_of,
    "list_lag": lenient_decimal_of,
    "stored_card": boolean_of,
    "charge_stored_card": boolean_of,
    "idempotency": _one_of("honour", "ignore"),
    "price_upload": lenient_decimal_of,
    "price_index": _optional,
    "price_speech_minute": lenient_decimal_of,
    "price_scene": lenient_decimal_of,
    "video_length": _optional_positive,
}
