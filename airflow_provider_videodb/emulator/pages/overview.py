"""The page a person opens first: balance, what can be paid, and the last calls."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.account.values import plain
from airflow_provider_videodb.emulator.control.calls import ERRORS_FROM
from airflow_provider_videodb.emulator.pages.checkout import duration, money
from airflow_provider_videodb.emulator.pages.html import badge, page, table

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_videodb.emulator.account.records import AutoRecharge, Checkout
    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.control.calls import Call

_LAST_CALLS = 15
_MOST_CHECKOUTS = 20
_REFRESH_SECONDS = 2
_TONES = {"pending": "wait", "completed": "good", "expired": "bad"}


def show(world: EmulatorState) -> str:
    """Return the page; the caller holds the lock."""
    now = world.clock.now()
    checkouts = world.ledger.checkouts()
    pending = [checkout for checkout in checkouts if checkout.status == "pending"]
    usage = world.ledger.usage()
    body = (
        f"<header><h1>VideoDB emulator</h1><code class='soft'>{escape(world.base_url)}</code></header>"
        '<div class="figures">'
        + _figure(plain(world.ledger.balance()), "credits left")
        + _figure(plain(usage.usage_this_month), "credits used this month")
        + _figure(str(len(pending)), "checkouts to pay")
        + "</div>"
        + _pending(pending, now)
        + _calls(world.calls.select()[-_LAST_CALLS:][::-1])
        + _checkouts([checkout for checkout in checkouts if checkout.status != "pending"], now)
        + f'<p class="soft">{_auto_recharge(world.ledger.auto_recharge())} Nothing here costs money.</p>'
    )
    return page("VideoDB emulator", body, refresh_seconds=_REFRESH_SECONDS)


def _figure(figure: str, name: str) -> str:
    return f'<div class="card"><div class="figure">{escape(figure)}</div><div class="soft">{escape(name)}</div></div>'


def _pending(checkouts: list[Checkout], now: datetime) -> str:
    if not checkouts:
        content = '<p class="soft">Nothing to pay.</p>'
    else:
        rows = [
            [
                f"<strong>{money(checkout)}</strong>",
                f"<code>{escape(checkout.id)}</code>",
                f"{duration(now - checkout.created_at)} ago",
                f"in {duration(checkout.expires_at - now)}",
                f'<a class="button small" href="/pay/{escape(checkout.id)}">Open payment page</a>',
            ]
            for checkout in checkouts[:_MOST_CHECKOUTS]
        ]
        content = table(["Amount", "Checkout", "Created", "Expires", ""], rows)
    return _card("Waiting for payment", content)


def _checkouts(checkouts: list[Checkout], now: datetime) -> str:
    if not checkouts:
        return ""
    rows = [
        [
            money(checkout),
            f"<code>{escape(checkout.id)}</code>",
            f"{duration(now - checkout.created_at)} ago",
            badge("paid" if checkout.status == "completed" else checkout.status, _TONES[checkout.status]),
        ]
        for checkout in checkouts[:_MOST_CHECKOUTS]
    ]
    return _card("Earlier checkouts", table(["Amount", "Checkout", "Created", "Status"], rows))


def _calls(calls: list[Call]) -> str:
    if not calls:
        return _card("Last calls", '<p class="soft">No API call yet.</p>')
    rows = [
        [
            call.at.strftime("%H:%M:%S"),
            escape(call.method),
            f"<code>{escape(call.path)}</code>",
            badge(call.fault, "bad") if call.fault else "",
            _status(call),
        ]
        for call in calls
    ]
    return _card("Last calls", table(["Time (UTC)", "Method", "Path", "Fault", "Answer"], rows))


def _status(call: Call) -> str:
    if call.status is None:
        return badge("none", "bad") if call.done else badge("open", "wait")
    return badge(str(call.status), "good" if call.status < ERRORS_FROM else "bad")


def _auto_recharge(wanted: AutoRecharge) -> str:
    if not wanted.enabled:
        return "Auto-recharge is off."
    return f"Auto-recharge adds {plain(wanted.amount)} credits when fewer than {plain(wanted.threshold)} are left."


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2>{content}</section>'
