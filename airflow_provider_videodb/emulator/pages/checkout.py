"""The pages of a checkout, as HTML. Whatever a caller of the API chose is escaped."""

from __future__ import annotations

from datetime import UTC
from html import escape
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.values import plain
from airflow_provider_videodb.emulator.pages.html import badge, facts, page

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from airflow_provider_videodb.emulator.account.records import Checkout, Invoice

_NOTE = '<p class="soft">This is the VideoDB emulator: no card is asked for and no money moves.</p>'
_BACK = '<p><a href="/">Back to the overview</a></p>'


def pending(checkout: Checkout, now: datetime) -> str:
    """Show what is to be paid, with a button to pay and one to leave."""
    left = f"in {duration(checkout.expires_at - now)}"
    pay = f"/pay/{escape(checkout.id)}"
    return _sheet(
        checkout,
        badge("pending", "wait"),
        facts([*_what(checkout), ("Link expires", left)])
        + f'<form class="wide" method="post" action="{pay}"><button>Pay {money(checkout)}</button></form>'
        + f'<form class="wide" method="post" action="{pay}/cancel"><button class="plain">Cancel</button></form>',
    )


def paid(checkout: Checkout) -> str:
    """Show that it is paid."""
    when = [] if checkout.paid_at is None else [("Paid at", moment(checkout.paid_at))]
    text = "<p>The credits have been added. You can close this page.</p>"
    return _sheet(checkout, badge("paid", "good"), facts([*_what(checkout), *when]) + text)


def expired(checkout: Checkout) -> str:
    """Show that it is too late."""
    text = "<p>This link has expired and cannot be paid any more. Nothing was charged.</p>"
    return _sheet(checkout, badge("expired", "bad"), facts(_what(checkout)) + text)


def cancelled(checkout: Checkout) -> str:
    """Show that nothing was paid, and that it still can be."""
    until = moment(checkout.expires_at)
    text = (
        f"<p>Nothing was charged. This checkout cannot be called off: its link stays payable until {until}.</p>"
        f'<p><a class="button" href="/pay/{escape(checkout.id)}">Back to payment</a></p>'
    )
    return _sheet(checkout, badge("not paid", "wait"), text)


def invoice(found: Invoice) -> str:
    """Show a bill."""
    rows = [("Invoice", found.id), ("For", found.reason), ("Date", moment(found.created_at))]
    body = (
        f"<header><h1>Invoice</h1>{badge(found.status, 'good')}</header><div class='card'>"
        f'<div class="amount">{dollars(found.amount, found.currency)}</div>{facts(rows)}</div>{_NOTE}{_BACK}'
    )
    return page("Invoice", body, narrow=True)


def unknown() -> str:
    """Show that there is nothing under this link."""
    body = f"<header><h1>Nothing here</h1></header><div class='card'><p>No such page or checkout.</p></div>{_BACK}"
    return page("Nothing here", body, narrow=True)


def money(checkout: Checkout) -> str:
    """Return the amount of a checkout as HTML."""
    return dollars(checkout.amount, checkout.order.currency)


def dollars(amount: int | Decimal, currency: str) -> str:
    """Return an amount as HTML."""
    return f"${amount:,.2f}" if currency == "usd" else f"{amount:,.2f} {escape(currency.upper())}"


def moment(at: datetime) -> str:
    """Return a moment for a person."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(span: timedelta) -> str:
    """Return a duration for a person, coarsely."""
    seconds = max(0, int(span.total_seconds()))
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / size)} {name}"
    return f"{seconds} s"


def _what(checkout: Checkout) -> list[tuple[str, str]]:
    rows = [("Adds", f"{plain(checkout.credits)} credits"), ("Checkout", checkout.id)]
    if checkout.order.plan_id:
        rows.insert(0, ("Plan", checkout.order.plan_id))
    return rows


def _sheet(checkout: Checkout, state: str, content: str) -> str:
    title = "Subscription" if checkout.order.mode == "subscription" else "Credit top-up"
    body = (
        f"<header><h1>VideoDB</h1>{state}</header><div class='card'><div class='soft'>{title}</div>"
        f'<div class="amount">{money(checkout)}</div>{content}</div>{_NOTE}{_BACK}'
    )
    return page(f"{title} · VideoDB emulator", body, narrow=True)
