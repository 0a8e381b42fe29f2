"""The pages for a person, rendered from templates."""

from __future__ import annotations

import json
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from airflow_provider_videodb.emulator.faults.call_faults import FaultKind
from airflow_provider_videodb.emulator.values import plain

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from jinja2 import Environment

    from airflow_provider_videodb.emulator.account.calls import Call
    from airflow_provider_videodb.emulator.account.records import Checkout, Invoice
    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.pages.call_list import CallGroup

_LAST_CALLS = 15
_LAST_ENTRIES = 8


def overview(state: EmulatorState, *, polls: bool = False, problem: str = "") -> str:
    """
    Render account, faults and calls. The caller holds the lock.

    :param polls: whether to list successful polls as well.
    :param problem: why the last action was refused.
    """
    checkouts = state.ledger.checkouts()
    calls = state.calls.select()
    shown = [call for call in calls if polls or not is_poll(call)]
    return _render(
        "overview.html",
        base_url=state.base_url,
        account=state.name,
        accounts=[(each.name, each.ledger.balance()) for each in state.accounts],
        query=overview_query(state),
        now=state.clock.now(),
        balance=state.ledger.balance(),
        used=state.ledger.usage().usage_this_month,
        pending=[checkout for checkout in checkouts if checkout.status == "pending"],
        closed=[checkout for checkout in checkouts if checkout.status != "pending"],
        entries=state.ledger.entries()[-_LAST_ENTRIES:][::-1],
        calls=shown[-_LAST_CALLS:][::-1],
        hidden=len(calls) - len(shown),
        polls=polls,
        faults=[(fault, state.faults.left(fault)) for fault in state.faults.all()],
        kinds=get_args(FaultKind),
        recharge=state.ledger.auto_recharge(),
        problem=problem,
    )


def overview_query(state: EmulatorState) -> str:
    """Return what the address of an overview and its forms add. Nothing for the only account."""
    return f"?account={state.name}" if len(state.accounts) > 1 else ""


def checkout(found: Checkout, state: EmulatorState, *, cancelled: bool = False) -> str:
    """Render a checkout, with its buttons while it is pending. The caller holds the lock."""
    query = overview_query(state)
    return _render("checkout.html", checkout=found, now=state.clock.now(), cancelled=cancelled, query=query)


def invoice(found: Invoice, state: EmulatorState) -> str:
    """Render an invoice."""
    return _render("invoice.html", invoice=found, query=overview_query(state))


def calls_list(base_url: str, groups: list[CallGroup]) -> str:
    """Render the list of all calls."""
    return _render("docs.html", base_url=base_url, groups=groups)


def unknown() -> str:
    """Render the page of an unknown address."""
    return _render("unknown.html")


def is_poll(call: Call) -> bool:
    """Whether a call only read, and succeeded without a fault."""
    return call.method == "GET" and call.fault is None and call.status is not None and call.status < 400


def amount_of(call: Call) -> str:
    """Return the amount of a call. Empty if it has none."""
    try:
        body = json.loads(call.body or "{}")
    except ValueError:
        return ""
    if not isinstance(body, dict) or isinstance(body.get("amount"), bool | str | list | dict | None):
        return ""
    # VideoDB reads this field as dollars, but as credits in auto-recharge.
    return f"{body['amount']:g} credits" if call.path.endswith("/auto_recharge") else f"${body['amount']:,.2f}"


def _render(name: str, **values: object) -> str:
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> Environment:
    # Only pages need Jinja, so the API starts without it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": plain,
        "money": _money,
        "moment": _moment,
        "duration": _duration,
        "amount": amount_of,
    }
    return environment


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
