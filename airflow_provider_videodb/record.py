"""The record of one purchase: what the journal keeps, and the steps it goes through. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.models import Checkout, IdSource

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """
    What the journal knows of one purchase: first the intent, then its checkout, then that it was paid.

    :param generation: counts the checkouts of one task instance; the next one begins when one has expired.
    :param amount: dollars. It stands, whatever a later try of the task renders.
    :param key: the idempotency key, the same for every POST of this generation.
    :param posts: when POSTs were sent that may have made a checkout.
    :param not_ours: checkouts that were there before one of them, or that turned out to be another task's.
    :param orphans: unpaid checkouts that a lost answer left behind. Nobody has their links.
    :param checkout_id: the checkout, once it is known.
    :param payment_url: its link; ``None`` too if the account was charged without one.
    :param handed_out: whether a person may have seen the link.
    :param notified: whether the notifiers have been called with it.
    :param paid: ids of what was paid, this task's own first; more than one is a fault to be reported.
    :param balance_before: credits when the purchase began.
    """

    generation: int
    amount: int
    currency: str | None
    key: str
    balance_before: float | None
    posts: tuple[str, ...] = ()
    not_ours: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    checkout_id: str | None = None
    id_source: str | None = None
    payment_url: str | None = None
    handed_out: bool = False
    notified: bool = False
    paid: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, record: object) -> Purchase:
        """
        Read the JSON form.

        :raises VideoDBPurchaseUnknownError: if it is none: then nobody knows what was bought.
        """
        try:
            fields: dict[str, Any] = dict(record)  # type: ignore[call-overload]  # what is no mapping raises below
            lists = {name: tuple(fields[name]) for name in ("posts", "not_ours", "orphans", "paid")}
            return cls(**fields | lists)
        except (TypeError, ValueError, KeyError) as err:
            raise VideoDBPurchaseUnknownError(
                f"The journal of this purchase cannot be read ({err}), so what was bought is unknown. Nothing more was "
                "bought. Look at the checkouts in VideoDB's console; then start a new DAG run to buy again."
            ) from err

    @classmethod
    def from_claimed(cls, paid: Sequence[Checkout]) -> Purchase:
        """Return what VideoDB's list tells of a purchase: the first is what was bought, its link is not known."""
        first = paid[0]
        return cls(
            generation=0,
            amount=int(first.amount),  # type: ignore[arg-type]  # every entry of the list has an amount
            currency=first.currency,
            key="",
            balance_before=None,
            checkout_id=first.id,
            id_source=first.id_source,
            paid=tuple(checkout.id for checkout in paid if checkout.id),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form for journal, trigger and event."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def stands(self) -> bool:
        """Whether something may have come of it; not so if all that was sent was refused."""
        return bool(self.posts or self.checkout_id or self.payment_url)

    @property
    def is_over(self) -> bool:
        """Whether it is paid and no link of it can be paid besides: what was paid may be an orphan."""
        return bool(self.paid) and (not self.handed_out or self.checkout_id in self.paid)

    def posting(self, now: datetime, *, there_before: Collection[str]) -> Purchase:
        """
        Note a POST that is about to be sent.

        :param there_before: checkouts that it cannot make, since they are in the list already.
        """
        others = [checkout_id for checkout_id in there_before if checkout_id not in self.orphans]
        return replace(self, posts=(*self.posts, now.isoformat()), not_ours=merged(self.not_ours, others))

    def begun_anew(self) -> Purchase:
        """Forget what was sent, on a person's word; the amount stays."""
        return replace(
            self,
            posts=(),
            orphans=(),
            checkout_id=None,
            id_source=None,
            payment_url=None,
            handed_out=False,
            notified=False,
        )

    def refused(self) -> Purchase:
        """Take the last POST back: it provably did nothing."""
        return replace(self, posts=self.posts[:-1])

    def answered(self, checkout: Checkout) -> Purchase:
        """Note the checkout that a POST was answered with."""
        # A server that honours the idempotency key answers with the checkout whose first answer was lost.
        return replace(
            self,
            checkout_id=checkout.id,
            id_source=checkout.id_source,
            payment_url=checkout.url,
            orphans=_without(self.orphans, checkout.id),
        )

    def found(self, checkout: Checkout) -> Purchase:
        """Note which entry of the list this purchase is."""
        return replace(
            self,
            checkout_id=checkout.id,
            id_source=checkout.id_source,
            orphans=_without(self.orphans, checkout.id),
        )

    def disowned(self, checkout_ids: Collection[str]) -> Purchase:
        """Note that these checkouts are not this purchase's."""
        mistaken = self.checkout_id in checkout_ids
        return replace(
            self,
            not_ours=merged(self.not_ours, checkout_ids),
            orphans=tuple(orphan for orphan in self.orphans if orphan not in checkout_ids),
            paid=tuple(paid for paid in self.paid if paid not in checkout_ids),
            checkout_id=None if mistaken else self.checkout_id,
            id_source=None if mistaken else self.id_source,
        )

    def is_surely(self, checkout_id: str) -> bool:
        """Say whether VideoDB's answer named this checkout; what was only found in the list may be another task's."""
        return checkout_id == self.checkout_id and self.id_source != IdSource.LIST

    def handing_out(self) -> Purchase:
        """Note that a person may see the link from now on."""
        return replace(self, handed_out=True)

    def settled(self, paid: Sequence[str]) -> Purchase:
        """Note what was paid."""
        return replace(self, paid=tuple(paid))


def _without(ids: tuple[str, ...], gone: str | None) -> tuple[str, ...]:
    return tuple(checkout_id for checkout_id in ids if checkout_id != gone)


def merged(ids: tuple[str, ...], more: Collection[str]) -> tuple[str, ...]:
    """Add ids to ids, each once, in order."""
    return tuple(dict.fromkeys((*ids, *more)))
