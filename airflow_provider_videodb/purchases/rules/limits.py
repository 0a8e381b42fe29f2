"""
Checks purchases against spending limits in US dollars.

A purchase is checked twice. The first check comes before the POST, because nobody can cancel a checkout. The second
one comes before its link is shared, because two purchases at once both pass the first check, and because somebody may
have lowered a limit meanwhile.

:mod:`~airflow_provider_videodb.purchases.rules.month` says what counts in a month. What cannot be added up fails the
check.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_videodb.api.models import Checkout, CheckoutStatus, by_id
from airflow_provider_videodb.exceptions import VideoDBLimitExceededError
from airflow_provider_videodb.purchases.rules.candidates import currency_name, describe_checkout, plain_amount
from airflow_provider_videodb.purchases.rules.month import is_usd, month_of_purchases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: A new checkout may be missing from the list for this long before its link is withheld for good.
MAX_LIST_LAG = timedelta(seconds=60)
#: Wait this long between two polls of a list that does not show a checkout yet.
LIST_POLL_INTERVAL = timedelta(seconds=5)

log = logging.getLogger(__name__)

_MOST_NAMED = 5
_REFUND = (
    "Next step: ask VideoDB's support for a refund. Then remove the stored card from the VideoDB account, so that "
    "a person must confirm every purchase."
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
        """The connection, for a text."""
        return "the connection" if self.conn_id is None else f"connection {self.conn_id}"

    @property
    def one_purchase(self) -> tuple[tuple[str, Decimal | int, str, str], ...]:
        """The limits of one purchase that are set: name, US dollars, where, and who can raise it."""
        each = (
            ("max_topup_amount", self.max_topup_amount, self.connection, "the owner of the connection"),
            ("max_amount", self.max_amount, "this task", "the author of the DAG"),
        )
        return tuple((name, limit, where, who) for name, limit, where, who in each if limit is not None)


@dataclass(frozen=True, kw_only=True)
class _Broken:
    """
    A limit that a purchase breaks.

    :param reason: for a person. It ends with a space or a new line, because a text follows.
    """

    reason: str
    next_step: str


def check_per_purchase_limits(amount: int, limits: SpendLimits, *, currency: str | None = None) -> None:
    """
    Refuse a purchase that is too large by itself.

    :param amount: US dollars about to be spent.
    :param currency: the currency of the request; ``None`` leaves it to VideoDB, whose documentation says USD.
    :raises VideoDBLimitExceededError: with the limit and who can raise it.
    """
    _refuse(_broken_by_itself(Decimal(amount), limits, currency))


def check_limits(
    amount: int, limits: SpendLimits, *, checkouts: Sequence[Checkout], now: datetime, currency: str | None = None
) -> None:
    """
    Refuse a purchase that would break a limit, before its POST.

    :param amount: US dollars about to be spent.
    :param checkouts: the account's checkouts, for the monthly limit.
    :param now: by our clock.
    :param currency: as for :func:`check_per_purchase_limits`.
    :raises VideoDBLimitExceededError: with the limit, what counts towards it and who can raise it. Also if a checkout
        that counts cannot be added up.
    """
    check_per_purchase_limits(amount, limits, currency=currency)
    _refuse(_broken_month(Decimal(amount), limits, checkouts, made_at=now, now=now))


def largest_purchase(limits: SpendLimits, *, checkouts: Sequence[Checkout], now: datetime) -> int | None:
    """
    Return the most US dollars that :func:`check_limits` accepts; ``None`` without a limit.

    :param checkouts: the account's checkouts, for the monthly limit.
    :param now: by our clock.
    """
    allowed = [Decimal(limit) for _, limit, _, _ in limits.one_purchase]
    if limits.monthly_topup_limit is not None:
        month = month_of_purchases(checkouts, made_at=now, now=now)
        allowed.append(Decimal(0) if month.unknown else limits.monthly_topup_limit - month.total)
    return max(0, math.floor(min(allowed))) if allowed else None


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
    Refuse to share the link of a checkout that breaks a limit.

    If checkouts break the monthly limit together, the later ones break it, by VideoDB's dates. So read the list late
    enough to show every earlier checkout. A paid checkout counts however late it was made.

    :param amount: US dollars of the request.
    :param limits: as this try read them.
    :param checkout_id: the checkout; ``None`` if its id is unknown. Then every listed checkout counts.
    :param checkouts: the account's checkouts, for the monthly limit.
    :param now: by our clock.
    :param currency: the currency of the request.
    :raises VideoDBLimitExceededError: with the limit. The link must not leave the process, so that nobody can pay it.
        If VideoDB has charged a stored card, the error says so.
    """
    own = by_id(checkouts).get(checkout_id or "")
    if own is not None:
        currency = own.currency or currency
    spent = max(Decimal(amount), Decimal(0) if own is None or own.amount is None else own.amount)
    broken = _broken_by_itself(spent, limits, currency)
    if broken is None:
        others = [other for other in checkouts if other is not own and _goes_before(other, own)]
        # The month is that of VideoDB's clock, once we know it.
        made_at = now if own is None or own.created_at is None else own.created_at
        broken = _broken_month(spent, limits, others, made_at=made_at, now=now)
    if broken is not None:
        raise VideoDBLimitExceededError(_withheld(broken, amount, checkout_id, own))


def check_own_checkout(
    purchase: Purchase, limits: SpendLimits, *, checkouts: Sequence[Checkout], now: datetime
) -> None:
    """Check a purchase's checkout as :func:`check_before_sharing_link` does."""
    check_before_sharing_link(
        purchase.amount_paid,
        limits,
        checkout_id=purchase.paid[0] if purchase.paid else purchase.checkout_id,
        checkouts=checkouts,
        now=now,
        currency=purchase.currency,
    )


def report_charge_beyond_limit(
    purchase: Purchase, limits: SpendLimits, *, checkouts: Sequence[Checkout], now: datetime
) -> None:
    """Log an error if a stored card was charged beyond a limit, because no link could be withheld."""
    if purchase.link_shared:
        return
    try:
        check_own_checkout(purchase, limits, checkouts=checkouts, now=now)
    except VideoDBLimitExceededError as err:
        log.error("%s", err)  # noqa: TRY400 - a text for a person, not a traceback


def _refuse(broken: _Broken | None) -> None:
    if broken is not None:
        raise VideoDBLimitExceededError(f"{broken.reason}Nothing was bought. Next step: {broken.next_step}")


def _broken_by_itself(amount: Decimal, limits: SpendLimits, currency: str | None) -> _Broken | None:
    is_limited = bool(limits.one_purchase) or limits.monthly_topup_limit is not None
    if is_limited and currency is not None and not is_usd(currency):
        return _Broken(
            reason=f"{plain_amount(amount)} {currency_name(currency)} cannot be compared with a limit in USD of "
            f"{limits.connection} or of this task. ",
            next_step="leave currency out, or set it to usd.",
        )
    for name, limit, where, who in limits.one_purchase:
        if amount > limit:
            return _Broken(
                reason=f"{plain_amount(amount)} USD is more than {where} allows for one purchase: "
                f"{plain_amount(limit)} USD ({name}). ",
                next_step=f"buy less, or ask {who} to raise {name}.",
            )
    return None


def _how_to_have_room(amount: Decimal, limit: Decimal) -> str:
    if amount > limit:
        return "buy less"
    return "wait for the next month or until open checkouts have expired (24 hours)"


def _broken_month(
    amount: Decimal, limits: SpendLimits, checkouts: Sequence[Checkout], *, made_at: datetime, now: datetime
) -> _Broken | None:
    limit = limits.monthly_topup_limit
    if limit is None:
        return None
    month = month_of_purchases(checkouts, made_at=made_at, now=now)
    already, unknown = month.total, month.unknown
    if already + amount > limit:
        return _Broken(
            reason=f"{plain_amount(amount)} USD more would make {plain_amount(already + amount)} USD this month "
            f"({month.month}, UTC); {limits.connection} allows {plain_amount(limit)} USD (monthly_topup_limit). "
            f"{_counted_already(already, len(month.added_up))} ",
            next_step=f"{_how_to_have_room(amount, limit)}, or ask the owner of the connection to raise "
            "monthly_topup_limit.",
        )
    if unknown:
        return _Broken(
            reason=f"{plain_amount(amount)} USD more may break monthly_topup_limit of {limits.connection}. "
            f"These checkouts of this month ({month.month}, UTC) cannot be added up in USD:\n{_by_line(unknown)}\n",
            next_step="look at them in VideoDB's console. The owner of the connection can add them up by hand, and "
            "remove monthly_topup_limit until they no longer count.",
        )
    return None


def _goes_before(other: Checkout, own: Checkout | None) -> bool:
    """Say whether another checkout comes first. Each one does if the date of our own is unknown."""
    if own is None or own.created_at is None or other.status == CheckoutStatus.COMPLETED:
        return True
    return other.created_at is None or (other.created_at, other.id or "") < (own.created_at, own.id or "")


def _withheld(broken: _Broken, amount: int, checkout_id: str | None, own: Checkout | None) -> str:
    if own is not None and own.status == CheckoutStatus.COMPLETED:
        return (
            f"{amount} USD WAS CHARGED to a stored card for checkout {checkout_id}, although it breaks a limit. "
            f"{broken.reason}Nothing more was bought. {_REFUND}"
        )
    name = "A new checkout" if checkout_id is None else f"Checkout {checkout_id}"
    charged = ""
    if own is None or own.status != CheckoutStatus.PENDING:
        charged = " An account with a stored card may have been charged."
    check = "check VideoDB's console for a charge, then " if charged else ""
    return (
        f"{broken.reason}{name} for {amount} USD was made, but its link is withheld. Nobody can pay it, and it "
        f"expires after 24 hours.{charged} Next step: {check}{broken.next_step}"
    )


def _counted_already(already: Decimal, count: int) -> str:
    if not count:
        return "No other checkout counts."
    return f"{plain_amount(already)} USD in {count} {'checkout' if count == 1 else 'checkouts'} count already."


def _by_line(checkouts: Sequence[Checkout]) -> str:
    named = [describe_checkout(checkout) for checkout in checkouts[:_MOST_NAMED]]
    more = len(checkouts) - _MOST_NAMED
    return "\n".join(named if more <= 0 else [*named, f"and {more} more"])
