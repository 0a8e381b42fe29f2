"""The record of one purchase: what the journal keeps, and the steps it goes through. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import IdSource
from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError

#: Seconds that a POST may take at the most: an hour is the longest timeout that a connection can have.
_LONGEST_POST = 3700

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow_provider_videodb.api.models import Checkout


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """
    What the journal knows of one purchase: first the intent, then its checkout, then that it was paid.

    :param generation: counts the checkouts of one task instance; the next one begins when one has expired.
    :param amount: dollars of this generation.
    :param key: the idempotency key, the same for every POST of this generation.
    :param account: fingerprint of the account that was asked; ``None`` if nobody noted it.
    :param posts: when POSTs were sent that may have made a checkout.
    :param in_flight: how many seconds the last POST may take, while its try has not noted how it ended; else 0.
    :param excluded_ids: checkouts that were there before one of them, or that turned out to be another task's.
    :param orphans: unpaid checkouts that a lost answer left behind. Nobody has their links.
    :param ended: checkouts of earlier generations and their dollars: VideoDB called them expired, or nobody has their
        links.
    :param checkout_id: the checkout, once it is known.
    :param payment_url: its link; ``None`` too if the account was charged without one.
    :param link_shared: whether a person may have seen the link.
    :param notified: the notifiers that have told somebody of the link.
    :param paid: ids of what was paid, this task's own first; more than one is a fault to be reported.
    :param paid_at: when a task of ours first saw that.
    :param balance_before: credits when the purchase began.
    """

    generation: int
    amount: int
    currency: str | None
    key: str
    balance_before: float | None
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
    paid: tuple[str, ...] = ()
    paid_at: str | None = None

    @classmethod
    def from_dict(cls, record: object) -> Purchase:
        """
        Read the JSON form.

        :raises VideoDBPurchaseUnknownError: if it is none: then nobody knows what was bought.
        """
        try:
            fields: dict[str, Any] = dict(record)  # type: ignore[call-overload]  # what is no mapping raises below
            lists = {name: _texts(fields[name]) for name in ("posts", "excluded_ids", "orphans", "notified", "paid")}
            _check_record(fields | lists)
            return cls(**fields | lists | {"ended": dict(fields["ended"])})
        except (TypeError, ValueError, KeyError) as err:
            raise VideoDBPurchaseUnknownError(
                f"The journal of this purchase cannot be read ({err}), so what was bought is unknown. Nothing more was "
                "bought. Look at the checkouts in VideoDB's console; then start a new DAG run to buy again."
            ) from err

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for journal, trigger and event."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def has_effect(self) -> bool:
        """Whether something may have come of it; not so if all that was sent was refused."""
        return bool(self.posts) or self.has_checkout

    @property
    def has_checkout(self) -> bool:
        """Whether a POST was answered, with an id or with a link alone."""
        return self.checkout_id is not None or self.payment_url is not None

    @property
    def price(self) -> str:
        """What this generation costs, for a person: ``50 USD``."""
        return f"{self.amount} {self._currency_in_words}"

    @property
    def price_paid(self) -> str:
        """What was paid, for a person."""
        return f"{self.amount_paid} {self._currency_in_words}"

    @property
    def _currency_in_words(self) -> str:
        return (self.currency or "usd").upper()

    @property
    def watched(self) -> tuple[str, ...]:
        """The checkouts whose payment would be this purchase's; the one that its link leads to comes first."""
        return merged((), [one for one in (self.checkout_id, *self.orphans, *self.ended) if one is not None])

    @property
    def amount_paid(self) -> int:
        """Dollars of what was paid: a payment that came late may be one of an earlier generation."""
        return self.ended.get(self.paid[0], self.amount) if self.paid else self.amount

    def post_started(self, now: datetime, *, there_before: Collection[str], may_take: float = 0) -> Purchase:
        """
        Note a POST that is about to be sent.

        :param there_before: checkouts that it cannot make, since they are in the list already.
        :param may_take: seconds after which it has ended one way or the other.
        """
        others = [checkout_id for checkout_id in there_before if checkout_id not in self.watched]
        return replace(
            self,
            posts=(*self.posts, now.isoformat()),
            excluded_ids=merged(self.excluded_ids, others),
            in_flight=may_take,
        )

    def next_generation(self, *, amount: int, currency: str | None, key: str, balance: float | None) -> Purchase:
        """Begin the next checkout. What there was goes on being watched, since a payment may still show."""
        return Purchase(
            generation=self.generation + 1,
            amount=amount,
            currency=currency,
            key=key,
            balance_before=balance,
            excluded_ids=self.excluded_ids,
            orphans=self.orphans,
            # What ended earlier keeps the amount that it had.
            ended=dict.fromkeys(self.orphans, self.amount) | self._with_own_ended(),
        )

    def restarted(self) -> Purchase:
        """Forget what was sent, on a person's word. A checkout that is known goes on being watched."""
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
        )

    def post_rejected(self) -> Purchase:
        """Take the last POST back: it provably did nothing."""
        return replace(self, posts=self.posts[:-1], in_flight=0)

    def post_unanswered(self) -> Purchase:
        """Note that the last POST has ended without an answer."""
        return replace(self, in_flight=0)

    def post_succeeded(self, checkout: Checkout) -> Purchase:
        """Note the checkout that a POST was answered with."""
        # A server that honours the idempotency key answers with the checkout whose first answer was lost.
        return replace(
            self,
            checkout_id=checkout.id,
            id_source=checkout.id_source,
            payment_url=checkout.url,
            in_flight=0,
            **self._without(checkout.id),
        )

    def matched(self, checkout: Checkout) -> Purchase:
        """Note which entry of the list this purchase is. The one that it was thought to be goes on being watched."""
        return replace(
            self,
            checkout_id=checkout.id,
            id_source=checkout.id_source,
            **self._without(checkout.id),
        )

    def without(self, checkout_ids: Collection[str]) -> Purchase:
        """Note that these checkouts are not this purchase's."""
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
        """Say whether VideoDB's answer named this checkout; what was only found in the list may be another task's."""
        return checkout_id == self.checkout_id and self.id_source != IdSource.LIST

    def sharing_link(self) -> Purchase:
        """Note that a person may see the link from now on."""
        return replace(self, link_shared=True)

    def marked_paid(self, paid: Sequence[str], *, at: datetime | None = None) -> Purchase:
        """Note what was paid, and when that was first seen."""
        return replace(self, paid=tuple(paid), paid_at=self.paid_at or (at.isoformat() if at else None))

    def receipt(self) -> Purchase:
        """Return what must outlive a purchase that is paid: what was bought, not how it came about."""
        return replace(self, posts=(), in_flight=0, excluded_ids=())

    def _with_own_ended(self) -> dict[str, int]:
        own = {} if self.checkout_id is None else {self.checkout_id: self.amount}
        return {**self.ended, **own}

    def _without(self, checkout_id: str | None) -> dict[str, Any]:
        return {
            "orphans": tuple(orphan for orphan in self.orphans if orphan != checkout_id),
            "ended": {one: amount for one, amount in self._with_own_ended().items() if one != checkout_id},
        }


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{value!r} is not a list of texts")
    return tuple(value)


def _check_record(fields: Mapping[str, Any]) -> None:
    """Refuse what no version of this package writes, so that an edit by hand is not taken for a payment."""
    if not isinstance(fields["key"], str) or not isinstance(fields["amount"], int):
        raise TypeError("key or amount is of another kind")
    if not 0 <= fields.get("in_flight", 0) <= _LONGEST_POST:
        raise ValueError(f"in_flight is {fields['in_flight']!r}")
    moments = [*fields["posts"], *([fields["paid_at"]] if fields.get("paid_at") is not None else [])]
    for moment in moments:
        datetime.fromisoformat(moment)


def merged(ids: tuple[str, ...], more: Collection[str]) -> tuple[str, ...]:
    """Add ids to ids, each once, in order."""
    return tuple(dict.fromkeys((*ids, *more)))
