"""The pages for a person, rendered from one template."""

from __future__ import annotations

from datetime import UTC
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.values import plain

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from jinja2 import Template

    from airflow_provider_videodb.emulator.account.records import Checkout, Invoice
    from airflow_provider_videodb.emulator.account.state import EmulatorState

_LAST_CALLS = 15


def overview(state: EmulatorState) -> str:
    """Render balance, checkouts and calls. The caller holds the lock."""
    checkouts = state.ledger.checkouts()
    return _template().render(
        view="overview",
        base_url=state.base_url,
        now=state.clock.now(),
        balance=state.ledger.balance(),
        used=state.ledger.usage().usage_this_month,
        pending=[checkout for checkout in checkouts if checkout.status == "pending"],
        closed=[checkout for checkout in checkouts if checkout.status != "pending"],
        calls=state.calls.select()[-_LAST_CALLS:][::-1],
        recharge=state.ledger.auto_recharge(),
    )


def checkout(found: Checkout, now: datetime, *, cancelled: bool = False) -> str:
    """Render a checkout, with its buttons while it is pending."""
    return _template().render(view="checkout", checkout=found, now=now, cancelled=cancelled)


def invoice(found: Invoice) -> str:
    """Render an invoice."""
    return _template().render(view="invoice", invoice=found)


def unknown() -> str:
    """Render the page of an unknown address."""
    return _template().render(view="unknown")


@cache
def _template() -> Template:
    # Only pages need Jinja, so the API starts without it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "money": _money, "moment": _moment, "duration": _duration}
    return environment.get_template("page.html")


def _money(amount: int | Decimal, currency: str) -> str:
    return f"${amount:,.2f}" if currency == "usd" else f"{amount:,.2f} {currency.upper()}"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds} s"
