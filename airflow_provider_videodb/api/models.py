"""The responses of VideoDB's billing API as immutable values."""

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

#: VideoDB documents that an unpaid checkout expires after this time.
CHECKOUT_LIFETIME = timedelta(hours=24)
#: The path of a Stripe payment link has the id of its checkout session.
_SESSION_ID_IN_URL = re.compile(r"/(cs_[A-Za-z0-9_]+)(?=[/?#]|$)")
#: The whole breakdown goes into XCom and events. VideoDB has few kinds of operation.
_MAX_KINDS = 1000
_MAX_KIND_LENGTH = 255


class CheckoutStatus(StrEnum):
    """The documented states of a checkout. Any other word never counts as paid."""

    #: A person can still pay.

    PENDING = "pending"
    #: Paid.
    COMPLETED = "completed"
    #: The link can no longer be paid.
    EXPIRED = "expired"


class IdSource(StrEnum):
    """Where the id of a checkout was found: the response to the POST, its link, or the list."""

    RESPONSE = "response"
    URL = "url"
    LIST = "list"


@dataclass(frozen=True, kw_only=True)
class Usage:
    """
    Balance and consumption of the account, in credits.

    VideoDB documents that these figures can be 5 to 15 minutes late.

    :param credit_balance: credits that are left.
    :param usage_this_month: credits that were used this month.
    :param breakdown: credits used by kind of operation; empty if VideoDB sends none.
    """

    credit_balance: Decimal
    usage_this_month: Decimal
    breakdown: Mapping[str, Decimal]

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> Usage:
        """
        Read ``GET /billing/usage``.

        A breakdown that is too long is an error, because a part of it would misstate where the credits went.
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
        """Say whether the balance reaches ``threshold`` credits. Every gate compares this way."""
        return self.credit_balance >= threshold

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for XCom, in credits."""
        return {
            "credit_balance": to_json_number(self.credit_balance),
            "usage_this_month": to_json_number(self.usage_this_month),
            "breakdown": {name: to_json_number(credits) for name, credits in self.breakdown.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """
    A purchase of credits that a person pays at a link.

    The response to a purchase has the link. The list of checkouts has the state and never the link.

    The list also has checkouts that were made elsewhere, for example in VideoDB's console. An entry that cannot be
    read in full names the fields in ``unreadable``. The reader of the list decides what that means.

    :param id: VideoDB's id; ``None`` if the response to the purchase has none.
    :param url: the payment link; ``None`` for an entry of the list.
    :param amount: US dollars; ``None`` for a subscription.
    :param currency: VideoDB's spelling; ``None`` if it is unknown.
    :param status: VideoDB's word, see :class:`CheckoutStatus`; empty if it cannot be read.
    :param created_at: a moment of VideoDB's clock; ``None`` for a new checkout.
    :param id_source: where the id was found.
    :param unreadable: the fields of a list entry that are missing or cannot be read. They are ``None`` here. An
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
        Read the response to ``POST /billing/topup`` or ``POST /billing/checkout``.

        One of the two documented dialects sends only a link. The id is then taken from the link if it has one.
        """
        url = link(data, "url", "payment_url", "checkout_url")
        checkout_id, source = None, None
        if any(data.get(name) is not None for name in ("session_id", "id")):
            checkout_id, source = text(data, "session_id", "id"), IdSource.RESPONSE
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
        """Read one entry of ``GET /billing/checkouts``. A bad entry must not hide the others."""
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


#: The reader of each field of a list entry.
_LISTED: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    "id": text,
    "amount": _amount_or_none,
    "currency": text,
    "status": text,
    "created_at": moment,
}


def by_id(checkouts: Iterable[Checkout]) -> dict[str, Checkout]:
    """Index the checkouts that have an id."""
    return {checkout.id: checkout for checkout in checkouts if checkout.id is not None}


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """
    An invoice of ``GET /billing/invoices``.

    :param amount: US dollars.
    :param status: ``paid``, ``pending`` or ``failed``.
    :param pdf_url: the address of the document; ``None`` if VideoDB sends none.
    """

    id: str
    amount: Decimal
    currency: str | None
    status: str
    pdf_url: str | None
    created_at: datetime

    @classmethod
    def from_api(cls, entry: object) -> Invoice:
        """Read one entry of the list, of either dialect."""
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
    The settings of automatic recharge.

    :param enabled: whether VideoDB recharges the account automatically.
    :param threshold: VideoDB recharges below this number of credits; ``None`` if it was never set.
    :param amount: VideoDB adds this number of credits; ``None`` if it was never set.
    """

    enabled: bool
    threshold: Decimal | None
    amount: Decimal | None

    @classmethod
    def from_api(cls, data: Mapping[str, Any]) -> AutoRecharge:
        """
        Read ``GET /billing/auto_recharge``.

        Automatic recharge is disabled by default, so the figures are required only if it is enabled.
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
        Return these settings with changes.

        An argument that is ``None`` keeps its value.

        :raises VideoDBConfigError: if automatic recharge would be enabled without a threshold or an amount.
        """
        # An amount of 0 credits means that the account was never configured.
        stored = self if self.amount or not enabled else AutoRecharge(enabled=self.enabled, threshold=None, amount=None)
        wanted = AutoRecharge(
            enabled=enabled,
            threshold=stored.threshold if threshold is None else threshold,
            amount=stored.amount if amount is None else amount,
        )
        if enabled and (wanted.threshold is None or not wanted.amount or wanted.amount < 0):
            raise VideoDBConfigError(
                f"Automatic recharge cannot be enabled with the threshold {wanted.threshold} and the amount "
                f"{wanted.amount}. It needs a threshold, and an amount above 0 credits, from the task or from the "
                "account. Nothing was sent. Next step: give both arguments to the task."
            )
        return wanted

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for XCom, in credits."""
        return {
            "enabled": self.enabled,
            "threshold": None if self.threshold is None else to_json_number(self.threshold),
            "amount": None if self.amount is None else to_json_number(self.amount),
        }
