"""
Spending limits in US dollars: what they are, what counts towards them, and when a link may be handed out. Pure.

A purchase is checked twice. Before it is sent, because a checkout cannot be cancelled. And before its link is handed
out, because two purchases at once both pass the first check, and because a limit may have been lowered meanwhile.

What counts towards a month is what is paid or can still be paid. VideoDB's list says when a checkout was made, not
when it was paid, so a paid one counts in the month in which it was made. One that can still be paid counts in the
current month as well. Anything that cannot be read counts, or fails the check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, Checkout, CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import VideoDBLimitExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How long a new checkout may stay out of the list before its link is withheld for good.
LISTED_WITHIN = timedelta(seconds=60)
#: How long to wait between two reads of a list that does not show it yet.
BETWEEN_LOOKS = timedelta(seconds=5)

_MOST_NAMED = 5
_REFUND = (
    "Next step: ask VideoDB's support for a refund, and remove the stored card from the VideoDB account, so that a "
    "purchase needs a person's click."
)


@dataclass(frozen=True, kw_only=True)
class SpendLimits:
    """
    What may be spent. ``None`` means no limit.

    :param max_topup_amount: US dollars of one purchase, from the connection.
    :param monthly_topup_limit: US dollars of all checkouts of the account in a calendar month (UTC), from the
        connection.
    :param max_amount: US dollars of one purchase, from the task. The tighter of the two holds.
    :param conn_id: the connection, for the texts of errors.
    """

    max_topup_amount: Decimal | None = None
    monthly_topup_limit: Decimal | None = None
    max_amount: Decimal | int | None = None
    conn_id: str | None = None

    @property
    def connection(self) -> str:
        """The connection, in words."""
        return "the connection" if self.conn_id is None else f"connection {self.conn_id}"

    @property
    def one_purchase(self) -> tuple[tuple[str, Decimal | int, str], ...]:
        """The limits of one purchase that are set: name, US dollars, and who sets them."""
        each = (
            ("max_topup_amount", self.max_topup_amount, self.connection),
            ("max_amount", self.max_amount, "this task"),
        )
        return tuple((name, limit, setter) for name, limit, setter in each if limit is not None)


@dataclass(frozen=True, kw_only=True)
class _Broken:
    """A limit that a purchase breaks, in words."""

    reason: str
    next_step: str


def check_per_purchase_limits(amount: int, limits: SpendLimits, *, currency: str | None = None) -> None:
    """
    Refuse a purchase that breaks a limit by itself, before anything is sent.

    :param amount: US dollars about to be spent.
    :param currency: the currency that VideoDB is asked for; ``None`` leaves it to VideoDB, whose documents say USD.
    :raises VideoDBLimitExceededError: naming the limit, and who can change it.
    """
    _refuse(_broken_by_itself(Decimal(amount), limits, currency))


def check_limits(
    amount: int, limits: SpendLimits, *, checkouts: Sequence[Checkout], now: datetime, currency: str | None = None
) -> None:
    """
    Refuse a purchase that would break a limit, before it is sent.

    :param amount: US dollars about to be spent.
    :param checkouts: the account's checkouts; only the monthly limit looks at them.
    :param now: by our clock.
    :param currency: as for :func:`check_per_purchase_limits`.
    :raises VideoDBLimitExceededError: naming the limit, what counts towards it and who can change it. Also if a
        checkout that counts cannot be added up.
    """
    check_per_purchase_limits(amount, limits, currency=currency)
    _refuse(_broken_month(Decimal(amount), limits, checkouts, made_at=now, now=now))


def check_before_sharing_link(
    amount: int,
    limits: SpendLimits,
    *,
    checkout_id: str | None,
    checkouts: Sequence[Checkout],
    now: datetime,
    currency: str | None = None,
) -> None:
    """
    Refuse to hand out the link of a checkout that breaks a limit.

    Of the checkouts that together break the monthly limit, the later ones do, by VideoDB's dates. So the list must be
    read late enough to show whatever is earlier. What is paid counts however late it was made.

    :param amount: US dollars that were asked for.
    :param limits: as they are now.
    :param checkout_id: the checkout; ``None`` if it is not known. Then everything else counts.
    :param checkouts: the account's checkouts; only the monthly limit needs them.
    :param now: by our clock.
    :param currency: the currency that VideoDB was asked for.
    :raises VideoDBLimitExceededError: naming the limit. The link must not leave the process; nobody can pay the
        checkout then. If VideoDB has charged a stored card, the error says so.
    """
    own = by_id(checkouts).get(checkout_id or "")
    if own is not None:
        currency = own.currency or currency
    spent = max(Decimal(amount), Decimal(0) if own is None or own.amount is None else own.amount)
    broken = _broken_by_itself(spent, limits, currency)
    if broken is None:
        others = [other for other in checkouts if other is not own and _goes_before(other, own)]
        # The month is that of VideoDB's clock, once it is known.
        made_at = now if own is None or own.created_at is None else own.created_at
        broken = _broken_month(spent, limits, others, made_at=made_at, now=now)
    if broken is not None:
        raise VideoDBLimitExceededError(_withheld(broken, amount, checkout_id, own))


def _refuse(broken: _Broken | None) -> None:
    if broken is not None:
        raise VideoDBLimitExceededError(f"{broken.reason} Nothing was bought. Next step: {broken.next_step}")


def _broken_by_itself(amount: Decimal, limits: SpendLimits, currency: str | None) -> _Broken | None:
    is_limited = bool(limits.one_purchase) or limits.monthly_topup_limit is not None
    if is_limited and currency is not None and not _is_usd(currency):
        return _Broken(
            reason=f"{_plain(amount)} {_currency(currency)} cannot be compared with a limit in USD of "
            f"{limits.connection} or of the task.",
            next_step="leave currency out, or set it to usd.",
        )
    for name, limit, setter in limits.one_purchase:
        if amount > limit:
            return _Broken(
                reason=f"{_plain(amount)} USD is more than {setter} allows in one purchase: {_plain(limit)} USD "
                f"({name}).",
                next_step=f"buy less, or ask whoever {_owner(setter)} to raise {name}.",
            )
    return None


def _broken_month(
    amount: Decimal, limits: SpendLimits, checkouts: Sequence[Checkout], *, made_at: datetime, now: datetime
) -> _Broken | None:
    limit = limits.monthly_topup_limit
    if limit is None:
        return None
    month = _month(made_at)
    counted = [checkout for checkout in checkouts if _counts(checkout, month=month, now=now)]
    unknown = [checkout for checkout in counted if not _can_be_added_up(checkout)]
    spent = [checkout.amount for checkout in counted if checkout.amount and _adds(checkout) and _is_in_usd(checkout)]
    already = sum(spent, Decimal(0))
    if already + amount > limit:
        return _Broken(
            reason=f"{_plain(amount)} USD more would make {_plain(already + amount)} USD this month ({month}, UTC); "
            f"{limits.connection} allows {_plain(limit)} USD (monthly_topup_limit). {_in_words(already, len(spent))}",
            next_step="wait for the next month or until open checkouts have expired (24 hours), or ask whoever owns "
            "the connection to raise monthly_topup_limit.",
        )
    if unknown:
        return _Broken(
            reason=f"{_plain(amount)} USD more may break monthly_topup_limit of {limits.connection}: these checkouts "
            f"of this month ({month}, UTC) cannot be added up in USD: {_named(unknown)}.",
            next_step="look at them in VideoDB's console. Whoever owns the connection can count by hand and take "
            "monthly_topup_limit off the connection until they no longer count.",
        )
    return None


def _counts(checkout: Checkout, *, month: str, now: datetime) -> bool:
    """Count what was paid in the month, and what can still be paid; when in doubt, count."""
    if checkout.created_at is None or "created_at" in checkout.unreadable:
        return True
    status = None if "status" in checkout.unreadable else checkout.status
    # VideoDB's list may call a checkout expired that is not: it is believed once the time has passed.
    is_young = now - checkout.created_at < CHECKOUT_LIFETIME
    if status == CheckoutStatus.EXPIRED and not is_young:
        return False
    return _month(checkout.created_at) == month or (is_young and status != CheckoutStatus.COMPLETED)


def _can_be_added_up(checkout: Checkout) -> bool:
    return "amount" not in checkout.unreadable and (_is_in_usd(checkout) or not _adds(checkout))


def _adds(checkout: Checkout) -> bool:
    """Say whether an amount adds something: that of a subscription is not listed, and a negative one makes no room."""
    return checkout.amount is not None and checkout.amount > 0


def _is_in_usd(checkout: Checkout) -> bool:
    return "currency" not in checkout.unreadable and _is_usd(checkout.currency)


def _goes_before(other: Checkout, own: Checkout | None) -> bool:
    """Say whether another checkout has the older right to the month: all have, to one whose date is not known."""
    if own is None or own.created_at is None or other.status == CheckoutStatus.COMPLETED:
        return True
    return other.created_at is None or (other.created_at, other.id or "") < (own.created_at, own.id or "")


def _withheld(broken: _Broken, amount: int, checkout_id: str | None, own: Checkout | None) -> str:
    """Say what becomes of a checkout that was made all the same."""
    name = "The new checkout" if checkout_id is None else f"Checkout {checkout_id}"
    if own is not None and own.status == CheckoutStatus.COMPLETED:
        return (
            f"{amount} USD WAS CHARGED to a stored card, although it breaks a limit: checkout {checkout_id}. "
            f"{broken.reason} {_REFUND}"
        )
    charged = ""
    if own is None or own.status != CheckoutStatus.PENDING:
        charged = " If the VideoDB account charges a stored card, it may have been charged: look in VideoDB's console."
    return (
        f"{broken.reason} {name} over {amount} USD was made, but its link is withheld: it stays unpaid and expires by "
        f"itself.{charged} "
        f"Next step: {broken.next_step}"
    )


def _month(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m}"


def _is_usd(currency: str | None) -> bool:
    return currency is not None and currency.lower() == "usd"


def _owner(setter: str) -> str:
    return "wrote the DAG" if setter == "this task" else "owns the connection"


def _in_words(already: Decimal, count: int) -> str:
    if not count:
        return "No other checkout counts."
    return f"{_plain(already)} USD in {count} {'checkout' if count == 1 else 'checkouts'} count already."


def _named(checkouts: Sequence[Checkout]) -> str:
    named = "; ".join(_name(checkout) for checkout in checkouts[:_MOST_NAMED])
    more = len(checkouts) - _MOST_NAMED
    return named if more <= 0 else f"{named}; and {more} more"


def _name(checkout: Checkout) -> str:
    amount = "an unreadable amount" if checkout.amount is None else _plain(checkout.amount)
    made = "at an unreadable date" if checkout.created_at is None else f"on {checkout.created_at:%Y-%m-%d %H:%M} UTC"
    return f"{checkout.id or 'without an id'}: {amount} {_currency(checkout.currency)}, made {made}"


def _currency(currency: str | None) -> str:
    """Return a currency for a text. What is no code is not repeated: it comes from outside."""
    return currency.upper() if currency and re.fullmatch(r"[A-Za-z]{3}", currency) else "of an unknown currency"


def _plain(amount: Decimal | int) -> str:
    """Write dollars as a person does: 50 and 12.5, not 5E+1 or 12.50."""
    return f"{Decimal(amount).normalize():f}"
