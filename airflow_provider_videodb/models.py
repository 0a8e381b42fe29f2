"""What VideoDB's billing API answers, as immutable values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.fields import (
    link,
    moment,
    number,
    optional_number,
    optional_text,
    text,
    to_json_number,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

#: What an unpaid checkout lives, by VideoDB's documents.
CHECKOUT_LIFETIME = timedelta(hours=24)
#: Stripe puts the id of a checkout session into the path of its payment link.
_SESSION_ID_IN_URL = re.compile(r"/(cs_[A-Za-z0-9_]+)(?=[/?#]|$)")


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
        """Read ``GET /billing/usage``. Only the OpenAPI part of the page knows ``breakdown``."""
        breakdown = data.get("breakdown")
        breakdown = {} if breakdown is None else breakdown
        if not isinstance(breakdown, Mapping):
            raise unreadable("breakdown", breakdown, "an object of numbers")
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

    :param id: VideoDB's id; ``None`` for a new checkout whose answer named none.
    :param url: the payment link; ``None`` for a checkout read from the list.
    :param amount: US dollars; ``None`` for a subscription.
    :param currency: as VideoDB spells it; ``None`` where the answer does not say.
    :param status: VideoDB's word, see :class:`CheckoutStatus`.
    :param created_at: by VideoDB's clock; ``None`` for a new checkout.
    :param id_source: where the id was learnt.
    :param unreadable: the fields of the list's entry that could not be read; they hold nothing to go by.
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
    def from_list(cls, data: Mapping[str, Any]) -> Checkout:
        """Read one entry of ``GET /billing/checkouts``."""
        return cls(
            id=text(data, "id"),
            url=None,
            amount=number(data, "amount"),
            currency=text(data, "currency"),
            status=text(data, "status"),
            created_at=moment(data, "created_at"),
            id_source=IdSource.LIST,
        )


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
    def from_api(cls, data: Mapping[str, Any]) -> Invoice:
        """Read one entry of the list; the sample code calls the date ``date`` and shows no currency or PDF."""
        return cls(
            id=text(data, "id"),
            amount=number(data, "amount"),
            currency=optional_text(data, "currency"),
            status=text(data, "status"),
            pdf_url=optional_text(data, "pdf_url"),
            created_at=moment(data, "created_at", "date"),
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
