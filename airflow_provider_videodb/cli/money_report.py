"""Describes an account's money for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.holds.rules.messages import number, until
from airflow_provider_videodb.overview.holds import total
from airflow_provider_videodb.overview.text import printable, to_age, to_blocks, to_minute, to_table
from airflow_provider_videodb.purchases.rules.candidates import plain_amount

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from airflow_provider_videodb.api.models import AutoRecharge, Usage
    from airflow_provider_videodb.overview.holds import Account
    from airflow_provider_videodb.overview.money import ListedCheckout, Spending
    from airflow_provider_videodb.overview.recorded import Belonging

_DETAILS = 3


def describe_balance(balance: Decimal, reserve: Decimal, account: Account) -> list[str]:
    """Return the lines of the balance."""
    counted = total(account.counted)
    head = ("BALANCE", "RESERVE", "HELD", "AVAILABLE")
    row = [number(balance), number(reserve) if reserve else None, number(counted) if counted else None]
    lines = to_table(head, [[*row, number(balance - reserve - counted)]])
    if account.waiting:
        waiting = tuple(one for one, _ in account.waiting)
        gates = f"{len(waiting)} gate{'' if len(waiting) == 1 else 's'}"
        lines.append(
            f"{gates} of account {account.name} wait{'s' if len(waiting) == 1 else ''} for "
            f"{number(total(waiting))} credits."
        )
    if account.pause is not None:
        lines.append(f"Account {account.name} is paused {until(account.pause.until_ms)}. No gate opens.")
    return lines


def describe_usage(usage: Usage, spending: Spending) -> list[str]:
    """Return the lines of the month's credits and dollars."""
    by_kind = sorted(usage.breakdown.items(), key=lambda item: (-item[1], item[0]))
    lines = to_table(("KIND", "CREDITS"), [[kind, number(credits)] for kind, credits in by_kind]) if by_kind else []
    lines += [""] if lines else []
    return [*lines, f"Used this month: {number(usage.usage_this_month)} credits.", *describe_spending(spending)]


def describe_spending(spending: Spending) -> list[str]:
    """Describe the month's purchases, and what the limits leave."""
    month, limits = spending.month, spending.limits
    paid, payable = plain_amount(month.paid), plain_amount(month.payable)
    lines = [f"Bought in {month.month} (UTC): {paid} USD paid, {payable} USD can still be paid."]
    if month.unknown:
        names = [printable(one.id or "one without an id") for one in month.unknown[:_DETAILS]]
        more = len(month.unknown) - _DETAILS
        names += [f"{more} more"] if more > 0 else []
        lines.append(f"Not added up, because amount or currency is unclear: {', '.join(names)}.")
    if limits.monthly_topup_limit is not None:
        limit = plain_amount(limits.monthly_topup_limit)
        left = "It is unknown what is" if spending.left is None else f"{plain_amount(spending.left)} USD are"
        lines.append(f"{left} left of monthly_topup_limit, which is {limit} USD.")
    if limits.max_topup_amount is not None:
        lines.append(f"One purchase may cost {plain_amount(limits.max_topup_amount)} USD (max_topup_amount).")
    return lines


def describe_checkouts(
    checkouts: Sequence[ListedCheckout], owners: Mapping[str, Belonging], *, now: datetime
) -> list[str]:
    """
    Return the lines of the list of checkouts.

    Below each checkout are its id, its task and its link.
    """
    rows = [_checkout_row(one, owners.get(one.checkout.id or ""), now) for one in checkouts]
    return to_blocks(("AMOUNT", "STATUS", "MADE", "EXPIRES"), rows)


def _checkout_row(one: ListedCheckout, belongs: Belonging | None, now: datetime) -> tuple[list[object], list[str]]:
    expires = one.expires_at
    left = None if expires is None else f"in {to_age(int((expires - now).total_seconds() * 1000))}"
    cells: list[object] = [describe_amount(one), one.status, to_minute(one.checkout.created_at) or "unknown", left]
    lines = [one.checkout.id or "without an id"]
    if belongs is not None:
        lines.append(str(belongs))
        lines += [belongs.link] if belongs.link and one.is_payable else []
    return cells, lines


def describe_amount(one: ListedCheckout) -> str:
    """Write the price of a checkout: ``50 USD``."""
    if one.checkout.amount is None:
        return "unknown"
    return f"{plain_amount(one.checkout.amount)} {one.currency or 'of an unknown currency'}"


def describe_recharge(settings: AutoRecharge, needed_by: Sequence[str], conn_id: str) -> list[str]:
    """Describe automatic recharge, and the pipelines that need it."""
    figures = []
    # An amount of 0 credits means that the account was never configured.
    if settings.threshold is not None and settings.amount:
        what = "VideoDB buys" if settings.enabled else "When it is on, VideoDB buys"
        amount, threshold = number(settings.amount), number(settings.threshold)
        figures = [f"{what} {amount} credits as soon as fewer than {threshold} are left."]
    state = "on" if settings.enabled else "off"
    lines = [f"Automatic recharge of connection {conn_id} is {state}.", *figures]
    if settings.enabled:
        lines.append("VideoDB charges the stored card by itself, so the limits of the connection do not apply.")
    if needed_by:
        lines += ["", "These pipelines set it, and the last one restores what the first one found:"]
        lines += [f"  {printable(one)}" for one in needed_by]
    return lines
