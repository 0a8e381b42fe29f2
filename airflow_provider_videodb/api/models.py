"""What VideoDB's billing API answers, as immutable values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.parsing import (
    link,
    moment,
    number,
    optional_number,
    optional_text,
    text,
    to_json_number,
    unreadable,
)
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBResponseError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

#: What an unpaid checkout lives, by VideoDB's documents.
CHECKOUT_LIFETIME = timedelta(hours=24)
#: Stripe puts the id of a checkout session into the path of its payment link.
_SESSION_ID_IN_URL = re.compile(r"/(cs_[A-Za-z0-9_]+)(?=[/?#]|$)")
#: A breakdown goes into XCom and events whole. VideoDB names a handful of kinds of operation.
_MAX_KINDS = 1000
_MAX_KIND_LENGTH = 255


class CheckoutStatus(StrEnum):
    """The documented states of a checkout. Any other word is unknown, and unknown is never paid."""

    PENDING = "pending"
    COMPLETED = "completed"
    EXPIRED = "expired"


class IdSource(StrEnum):
    """Where the id of a checkout was learnt."""

    ANSWER = "answer"
    URL = "url"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """
    Balance and consumption of the account, in credits.

    VideoDB's figures can lag 5 to 15 minutes behind.

    :param credit_balance: credits left.
    :param usage_this_month: credits used in this month.
    :param breakdown: credits used by kind of operation; empty where the answer carries none.
    """

    credit_balance: Decimal
    usage_this_month: Decimal
    breakdown: Mapping[str, Decimal]

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> Usage:
        """
        Read ``GET /billing/usage``. Only the OpenAPI part of the page knows ``breakdown``.

        An over-long breakdown is refused: cut short it would be a wrong statement of where the credits went.
        """
        breakdown = data.get("breakdown")
        breakdown = {} if breakdown is None else breakdown
        if not isinstance(breakdown, Mapping):
            raise unreadable("breakdown", breakdown, "an object of numbers")
        if len(breakdown) > _MAX_KINDS or any(len(name) > _MAX_KIND_LENGTH for name in breakdown):
            wanted = f"at most {_MAX_KINDS} names of at most {_MAX_KIND_LENGTH} characters"
            raise unreadable("breakdown", list(breakdown), wanted)
        return cls(
            credit_balance=number(data, "credit_balance", "credits_remaining"),
            usage_this_month=number(data, "usage_this_month", "total_credits_used"),
            breakdown=MappingProxyType({str(name): number(breakdown, name) for name in breakdown}),
        )

    def covers(self, threshold: Decimal) -> bool:
        """Say whether the balance suffices: the one comparison that every gate of this package makes."""
        return self.credit_balance >= threshold

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that goes into XCom: numbers are credits."""
        return {
            "credit_balance": to_json_number(self.credit_balance),
            "usage_this_month": to_json_number(self.usage_this_month),
            "breakdown": {name: to_json_number(credits) for name, credits in self.breakdown.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """
    A purchase of credits that a person pays at a link.

    The list of checkouts is the only view of one, and it does not carry the link.

    The list of an account holds entries of others too, made in VideoDB's console say. One that cannot be read says so
    in ``unreadable``; what that means is for whoever reads the list to decide.

    :param id: VideoDB's id; ``None`` for a new checkout whose answer named none.
    :param url: the payment link; ``None`` for a checkout read from the list.
    :param amount: US dollars; ``None`` for a subscription.
    :param currency: as VideoDB spells it; ``None`` where the answer does not say.
    :param status: VideoDB's word, see :class:`CheckoutStatus`; empty where it cannot be read.
    :param created_at: by VideoDB's clock; ``None`` for a new checkout.
    :param id_source: where the id was learnt.
    :param unreadable: which fields of an entry of the list are missing or cannot be read, so are ``None`` here. An
        ``amount`` that is null or absent is not one of them.
    """

    id: str | None
    url: str | None
    amount: Decimal | None
    currency: str | None
    status: str
    created_at: datetime | None
    id_source: IdSource | None
    unreadable: tuple[str, ...] = ()

    @classmethod
    def from_created(cls, data: Mapping[str, Any], *, amount: int | None, currency: str | None) -> Checkout:
        """
        Read the answer of ``POST /billing/topup`` or ``POST /billing/checkout``.

        The OpenAPI answer is a link alone: its id is taken from the link where that carries one.
        """
        url = link(data, "url", "payment_url", "checkout_url")
        checkout_id, source = None, None
        if any(data.get(name) is not None for name in ("session_id", "id")):
            checkout_id, source = text(data, "session_id", "id"), IdSource.ANSWER
        elif found := _SESSION_ID_IN_URL.search(url):
            checkout_id, source = found.group(1), IdSource.URL
        return cls(
            id=checkout_id,
            url=url,
            amount=None if amount is None else Decimal(amount),
            currency=currency,
            status=CheckoutStatus.PENDING,
            created_at=None,
            id_source=source,
        )

    @classmethod
    def from_list(cls, entry: object) -> Checkout:
        """Read one entry of ``GET /billing/checkouts``, whatever stands there."""
        found: dict[str, Any] = {}
        for name, read in _LISTED.items():
            with suppress(VideoDBResponseError):
                found[name] = read(_object(entry), name)
        return cls(
            id=found.get("id"),
            url=None,
            amount=found.get("amount"),
            currency=found.get("currency"),
            status=found.get("status", ""),
            created_at=found.get("created_at"),
            id_source=IdSource.LIST if "id" in found else None,
            unreadable=tuple(name for name in _LISTED if name not in found),
        )


def _object(entry: object) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise unreadable("entry", entry, "an object")
    return entry


def _amount_or_none(data: Mapping[str, Any], name: str) -> Decimal | None:
    return optional_number(data, name, required=False)


#: How the fields of an entry of the list are read.
_LISTED: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    "id": text,
    "amount": _amount_or_none,
    "currency": text,
    "status": text,
    "created_at": moment,
}


def by_id(checkouts: Iterable[Checkout]) -> dict[str, Checkout]:
    """Return the entries of a list by their ids, for whoever looks for some of them in a long one."""
    return {checkout.id: checkout for checkout in checkouts if checkout.id is not None}


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """
    A bill, as ``GET /billing/invoices`` lists it.

    :param amount: US dollars.
    :param status: ``paid``, ``pending`` or ``failed``.
    :param pdf_url: where the document lies; ``None`` where the answer has none.
    """

    id: str
    amount: Decimal
    currency: str | None
    status: str
    pdf_url: str | None
    created_at: datetime

    @classmethod
    def from_api(cls, entry: object) -> Invoice:
        """Read one entry of the list; the sample code calls the date ``date`` and shows no currency or PDF."""
        fields = _object(entry)
        return cls(
            id=text(fields, "id"),
            amount=number(fields, "amount"),
            currency=optional_text(fields, "currency"),
            status=text(fields, "status"),
            pdf_url=optional_text(fields, "pdf_url"),
            created_at=moment(fields, "created_at", "date"),
        )


@dataclass(frozen=True, kw_only=True)
class AutoRecharge:
    """
    Settings of automatic recharge.

    :param enabled: whether VideoDB recharges by itself.
    :param threshold: credits below which it does; ``None`` if never configured.
    :param amount: credits it adds; ``None`` if never configured.
    """

    enabled: bool
    threshold: Decimal | None
    amount: Decimal | None

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> AutoRecharge:
        """
        Read ``GET /billing/auto_recharge``.

        It is disabled by default, so an account that never configured it has no figures; an enabled one has.
        """
        enabled = data.get("enabled")
        if not isinstance(enabled, bool):
            raise unreadable("enabled", enabled, "true or false")
        threshold_names, amount_names = ("threshold", "threshold_credits"), ("amount", "recharge_amount")
        return cls(
            enabled=enabled,
            threshold=optional_number(data, *threshold_names, required=enabled),
            amount=optional_number(data, *amount_names, required=enabled),
        )

    def changed_to(self, *, enabled: bool, threshold: Decimal | None, amount: Decimal | None) -> AutoRecharge:
        """
        Return the wanted settings: what is not given stays as it is.

        :raises VideoDBConfigError: if automatic recharge would be enabled without figures to go by.
        """
        # Recharging by nothing is no configuration to enable: so an account shows that it never had one.
        stored = self if self.amount or not enabled else AutoRecharge(enabled=self.enabled, threshold=None, amount=None)
        wanted = AutoRecharge(
            enabled=enabled,
            threshold=stored.threshold if threshold is None else threshold,
            amount=stored.amount if amount is None else amount,
        )
        if enabled and (wanted.threshold is None or not wanted.amount or wanted.amount < 0):
            raise VideoDBConfigError(
                f"Auto-recharge cannot be enabled with threshold {wanted.threshold} and amount {wanted.amount}: it "
                "needs a threshold and an amount above zero, in credits, and the account has none stored. Nothing was "
                "sent. Give both to the task."
            )
        return wanted

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that goes into XCom: numbers are credits."""
        return {
            "enabled": self.enabled,
            "threshold": None if self.threshold is None else to_json_number(self.threshold),
            "amount": None if self.amount is None else to_json_number(self.amount),
        }
