"""Defines the record of one purchase and its transitions."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import IdSource
from airflow_provider_videodb.purchases.rules.record_format import FORMAT, LATER_FIELDS, fields_of, unreadable_record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from airflow_provider_videodb.api.models import Checkout


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """
    What is recorded of one purchase: its intent, then its checkout, then its payment.

    :param generation: counts the checkouts of one task instance. The next one begins when one has expired.
    :param amount: US dollars of this generation.
    :param currency: the currency of the request; ``None`` leaves it to VideoDB.
    :param key: the idempotency key, the same for every POST of this generation.
    :param balance_before: credits when this generation began.
    :param account: fingerprint of the account that was asked; ``None`` if it was not recorded.
    :param posts: when the POSTs that may have made a checkout were sent (ISO 8601).
    :param in_flight: seconds that the last POST may still take; 0 once the task has recorded how it ended.
    :param excluded_ids: checkouts that existed before a POST, or that belong to another task.
    :param orphans: unpaid checkouts whose POST got no response. Nobody has their links.
    :param ended: earlier checkouts that nobody can pay now, each with its US dollars. We still watch them,
        because a payment may appear late.
    :param checkout_id: the checkout; ``None`` until a response or the list names it.
    :param id_source: where the id was read.
    :param payment_url: the payment link; ``None`` without a response.
    :param link_shared: whether a person may have seen the link.
    :param notified: the notifiers that have sent the link, and the further messages that each has sent.
    :param reminded_at: when a task last reminded people of the link (ISO 8601).
    :param redirect_url: the page that opens after the payment, as the first POST of this generation named it.
    :param paid: ids of what was paid, this task's own first. More than one is a fault that the task reports.
    :param paid_at: when a task first saw the payment (ISO 8601).
    :param action_max_tries: Airflow's figure when its Required Actions began to show the link; ``None`` if they do not.
        A clear by a person raises it, and a retry does not.
    :param unknown_fields: fields of a newer format, kept as they are.
    """

    generation: int
    amount: int
    currency: str | None
    key: str
    balance_before: float | None = None
    account: str | None = None
    posts: tuple[str, ...] = ()
    in_flight: float = 0
    excluded_ids: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    ended: Mapping[str, int] = field(default_factory=dict)
    checkout_id: str | None = None
    id_source: str | None = None
    payment_url: str | None = None
    link_shared: bool = False
    notified: tuple[str, ...] = ()
    reminded_at: str | None = None
    redirect_url: str | None = None
    paid: tuple[str, ...] = ()
    paid_at: str | None = None
    action_max_tries: int | None = None
    unknown_fields: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, record: object) -> Purchase:
        """
        Read the JSON form of any format.

        :raises VideoDBPurchaseUnknownError: if a field that decides about money is missing or unreadable.
        """
        try:
            return cls(**fields_of(record))
        except (TypeError, ValueError) as err:
            raise unreadable_record(str(err)) from err

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for the record, the trigger and its events."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del fields["unknown_fields"]
        # The first release does not know these fields, so a purchase without them is stored as it stored it.
        fields = {name: value for name, value in fields.items() if value is not None or name not in LATER_FIELDS}
        return {**self.unknown_fields, "format": FORMAT, **fields}

    @property
    def has_effect(self) -> bool:
        """Whether VideoDB may have made a checkout; not if it rejected every POST."""
        return bool(self.posts) or self.has_checkout

    @property
    def has_checkout(self) -> bool:
        """Whether a POST got a response, with an id or with a link alone."""
        return self.checkout_id is not None or self.payment_url is not None

    @property
    def price(self) -> str:
        """The price of this generation for a person: ``50 USD``."""
        return f"{self.amount} {self._currency_code}"

    @property
    def price_paid(self) -> str:
        """The price of what was paid, for a person."""
        return f"{self.amount_paid} {self._currency_code}"

    @property
    def _currency_code(self) -> str:
        return (self.currency or "usd").upper()

    @property
    def watched(self) -> tuple[str, ...]:
        """The checkouts whose payment completes this purchase, its linked one first."""
        return merged((), [one for one in (self.checkout_id, *self.orphans, *self.ended) if one is not None])

    @property
    def amount_paid(self) -> int:
        """US dollars of what was paid. A late payment may belong to an earlier generation."""
        return self.ended.get(self.paid[0], self.amount) if self.paid else self.amount

    def returning_to(self, redirect_url: str | None, *, default: str | None) -> Purchase:
        """
        Record which page opens after the payment, unless a POST of this generation has named one.

        A POST that is sent again must be the same, because a server may refuse the same key with other contents.

        :param redirect_url: what the task asks for.
        :param default: the page if the task asks for none. A POST of an older version did not name it.
        """
        return self if self.posts else replace(self, redirect_url=redirect_url or default)

    def post_started(self, now: datetime, *, there_before: Collection[str], may_take: float = 0) -> Purchase:
        """
        Record a POST that is about to be sent.

        :param there_before: checkouts that are listed already, so the POST cannot make them.
        :param may_take: seconds after which the POST has ended one way or the other.
        """
        others = [checkout_id for checkout_id in there_before if checkout_id not in self.watched]
        return replace(
            self,
            posts=(*self.posts, now.isoformat()),
            excluded_ids=merged(self.excluded_ids, others),
            in_flight=may_take,
        )

    def next_generation(self, *, amount: int, currency: str | None, key: str, balance: float | None) -> Purchase:
        """Begin the next checkout, and keep watching the earlier ones."""
        return Purchase(
            generation=self.generation + 1,
            amount=amount,
            currency=currency,
            key=key,
            balance_before=balance,
            excluded_ids=self.excluded_ids,
            orphans=self.orphans,
            # A checkout that ended earlier keeps its own amount.
            ended=dict.fromkeys(self.orphans, self.amount) | self._with_own_ended(),
            unknown_fields=self.unknown_fields,
        )

    def restarted(self) -> Purchase:
        """Forget what was sent, because a person resolved it. A checkout with an id stays watched."""
        return replace(
            self,
            posts=(),
            in_flight=0,
            orphans=(),
            ended=self._with_own_ended(),
            checkout_id=None,
            id_source=None,
            payment_url=None,
            link_shared=False,
            notified=(),
            reminded_at=None,
        )

    def post_rejected(self) -> Purchase:
        """Remove the last POST, because it had no effect."""
        return replace(self, posts=self.posts[:-1], in_flight=0)

    def post_outcome_unknown(self) -> Purchase:
        """Record that the last POST ended without a response."""
        return replace(self, in_flight=0)

    def post_succeeded(self, checkout: Checkout) -> Purchase:
        """Record the checkout of a response."""
        return replace(self.matched(checkout), payment_url=checkout.url, in_flight=0)

    def matched(self, checkout: Checkout) -> Purchase:
        """
        Record which checkout belongs to this purchase.

        It may have been an orphan, because a server that honors the key returns the checkout of the first POST. The
        checkout that was recorded before stays watched.
        """
        ended = {one: amount for one, amount in self._with_own_ended().items() if one != checkout.id}
        orphans = tuple(orphan for orphan in self.orphans if orphan != checkout.id)
        return replace(self, checkout_id=checkout.id, id_source=checkout.id_source, orphans=orphans, ended=ended)

    def without(self, checkout_ids: Collection[str]) -> Purchase:
        """Record that these checkouts belong to other tasks."""
        mistaken = self.checkout_id in checkout_ids
        return replace(
            self,
            excluded_ids=merged(self.excluded_ids, checkout_ids),
            orphans=tuple(orphan for orphan in self.orphans if orphan not in checkout_ids),
            ended={one: amount for one, amount in self.ended.items() if one not in checkout_ids},
            paid=tuple(paid for paid in self.paid if paid not in checkout_ids),
            checkout_id=None if mistaken else self.checkout_id,
            id_source=None if mistaken else self.id_source,
        )

    def is_confirmed_id(self, checkout_id: str) -> bool:
        """Say whether a response named this checkout. One from the list may belong to another task."""
        return checkout_id == self.checkout_id and self.id_source != IdSource.LIST

    def sharing_link(self) -> Purchase:
        """Record that a person may see the link from now on."""
        return replace(self, link_shared=True)

    def notified_by(self, name: str) -> Purchase:
        """Record that a notifier has sent a message."""
        return replace(self, notified=(*self.notified, name))

    def reminded(self, at: datetime) -> Purchase:
        """Record that people are reminded of the link."""
        return replace(self, reminded_at=at.isoformat())

    def marked_paid(self, paid: Sequence[str], *, at: datetime | None = None) -> Purchase:
        """Record what was paid, and when a task first saw it."""
        return replace(self, paid=tuple(paid), paid_at=self.paid_at or (at.isoformat() if at else None))

    def receipt(self) -> Purchase:
        """Return what must outlive a paid purchase: what was bought, not how."""
        return replace(self, posts=(), in_flight=0, excluded_ids=())

    def _with_own_ended(self) -> dict[str, int]:
        own = {} if self.checkout_id is None else {self.checkout_id: self.amount}
        return {**self.ended, **own}


def idempotency_key(*identity: object) -> str:
    """Return the key of one purchase, the same on every try and machine."""
    return hashlib.sha256("\x1f".join(str(part) for part in identity).encode()).hexdigest()


def merged(ids: tuple[str, ...], more: Collection[str]) -> tuple[str, ...]:
    """Add ids to ids, each once, in order."""
    return tuple(dict.fromkeys((*ids, *more)))
