"""Describes waiting tasks for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import CHECKOUT_LIFETIME, CheckoutStatus
from airflow_provider_videodb.api.parsing import to_decimal, to_json_number
from airflow_provider_videodb.api.urls import is_web_address
from airflow_provider_videodb.exceptions import VideoDBPurchaseUnknownError
from airflow_provider_videodb.holds.rules.messages import number, until
from airflow_provider_videodb.overview.text import printable, to_iso
from airflow_provider_videodb.purchases.rules.purchase import Purchase

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.overview.pauses import Pause

_LAST_SECOND = 253_402_300_799
#: The argument ``required_action`` of a trigger whose request a person may respond to.
_OPEN = "open"


class Todo(StrEnum):
    """What a person can do for a waiting task."""

    PAY = "pay"
    ADD_CREDITS = "add_credits"
    RESUME = "resume"
    APPROVE = "approve"
    OPEN_TASK = "open_task"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """
    What a trigger's arguments tell a person.

    :param conn_id: the connection; ``None`` if the arguments do not name one.
    :param needs: credits that the task waits for; ``None`` if it waits for a payment only.
    :param purchase: what the task bought; ``None`` if it bought nothing.
    :param gives_up: when the task stops waiting, in seconds since 1970; ``None`` if the arguments do not say.
    :param buys: whether the task buys what is missing.
    :param holder: the holder of its place in the queue; empty without one.
    :param respects_holds: whether credits that others hold count as missing.
    :param asks: whether it asks a person before it buys, and stays in the queue meanwhile.
    :param is_readable: whether this version understands the arguments.
    """

    conn_id: str | None
    needs: Decimal | None = None
    purchase: Purchase | None = None
    gives_up: float | None = None
    buys: bool = False
    holder: str = ""
    respects_holds: bool = False
    asks: bool = False
    is_readable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountNow:
    """
    What is known of an account.

    :param balance: credits, as VideoDB reported them last; ``None`` if they are unknown.
    :param available: credits that a new hold may take; ``None`` if they are unknown.
    :param listed: the checkouts by id, as VideoDB listed them last.
    :param reasons: why each holder in the queue waits.
    :param pause: why no gate may open, and until when; ``None`` if gates may open.
    """

    balance: Decimal | None
    available: Decimal | None
    listed: Mapping[str, Checkout]
    reasons: Mapping[str, str]
    pause: Pause | None


def read_wait(kwargs: object) -> Wait:
    """Read a trigger's arguments, of any version."""
    if not isinstance(kwargs, Mapping):
        return Wait(conn_id=None, is_readable=False)
    conn_id = kwargs.get("videodb_conn_id")
    wait, gate = kwargs.get("wait"), kwargs.get("gate")
    wait, gate = (wait if isinstance(wait, Mapping) else {}), (gate if isinstance(gate, Mapping) else {})
    recorded = kwargs.get("purchase", wait.get("purchase"))
    try:
        purchase = None if recorded is None else Purchase.from_dict(recorded)
    except VideoDBPurchaseUnknownError:
        return Wait(conn_id=conn_id if isinstance(conn_id, str) else None, is_readable=False)
    return Wait(
        conn_id=conn_id if isinstance(conn_id, str) else None,
        needs=_credits(kwargs.get("threshold")),
        purchase=purchase,
        gives_up=_moment(kwargs.get("deadline")),
        buys=wait.get("buys_if_short") is True,
        holder=str(gate.get("holder", "")),
        respects_holds=bool(gate) and bool(gate.get("respects_holds", True)),
        # A request of a task that bought something is about its payment.
        asks=purchase is None and kwargs.get("required_action") == _OPEN,
    )


def describe_task(wait: Wait, account: AccountNow, *, now: datetime) -> dict[str, Any]:
    """
    Say why a task waits, and what helps.

    :return: JSON values. ``url`` is there only while the link can be paid.
    """
    todo, why = _todo(wait, account, now)
    purchase = wait.purchase
    return {
        "todo": todo.value,
        "why": why,
        "needs": None if wait.needs is None else to_json_number(wait.needs),
        "gives_up": None if wait.gives_up is None else to_iso(int(wait.gives_up * 1000)),
        "price": None if purchase is None else purchase.price,
        "checkout": None if purchase is None else purchase.checkout_id,
        "expires": None if purchase is None else _iso(_expires(purchase, account)),
        "url": purchase.payment_url if purchase is not None and todo is Todo.PAY else None,
    }


def describe_question(subject: str, *, gives_up: datetime | None) -> dict[str, Any]:
    """
    Describe a task that waits for an approval.

    :param subject: the title of the request in Airflow's Required Actions.
    :param gives_up: when it stops waiting; ``None`` if that is unknown.
    """
    return {
        "todo": Todo.APPROVE.value,
        "why": printable(subject),
        "needs": None,
        "gives_up": _iso(gives_up),
        "price": None,
        "checkout": None,
        "expires": None,
        "url": None,
    }


def _todo(wait: Wait, account: AccountNow, now: datetime) -> tuple[Todo, str]:  # noqa: PLR0911 - one per reason
    if not wait.is_readable:
        return Todo.OPEN_TASK, "Another version of the provider deferred this task. Its page says why it waits."
    if wait.purchase is not None and not wait.purchase.paid:
        return _payment(wait, wait.purchase, account, now)
    if account.pause is not None and (wait.holder or wait.respects_holds):
        return Todo.RESUME, describe_pause(account.pause)
    needs = "credits" if wait.needs is None else f"{number(wait.needs)} credits"
    paid = "" if wait.purchase is None else f"{wait.purchase.price_paid} is paid. "
    there = _there(wait, account)
    if wait.asks and (there is None or wait.needs is None or there < wait.needs):
        unknown = f"It waits for {needs}. The balance is unknown."
        missing = unknown if there is None or wait.needs is None else _missing(wait.needs, there)
        # Others ahead in the queue count too, and the reason says so.
        return Todo.APPROVE, f"{account.reasons.get(wait.holder) or missing} It asks whether it may buy the rest."
    if there is None or wait.needs is None:
        return Todo.NOTHING, f"{paid}It waits for {needs}. The balance is unknown."
    if there >= wait.needs:
        reason = account.reasons.get(wait.holder) or f"It needs {needs}, and the account has enough credits."
        return Todo.NOTHING, f"{paid}{reason} The task checks at its next poll."
    if account.balance is not None and account.balance >= wait.needs:
        return Todo.NOTHING, paid + (
            account.reasons.get(wait.holder)
            or f"It needs {needs}, but part of the balance is in reserve, or others hold it."
        )
    if paid:
        return Todo.NOTHING, f"{paid}The balance does not show the payment yet, or more is missing. It needs {needs}."
    missing = _missing(wait.needs, there)
    if wait.buys:
        return Todo.NOTHING, f"{missing} The task buys what is missing at its next poll."
    return Todo.ADD_CREDITS, missing


def describe_pause(pause: Pause) -> str:
    """Say who paused the account, until when and why, because nobody should end a pause that somebody needs."""
    who = f"{printable(pause.by)} paused the account" if pause.by else "The account is paused"
    reason = f": {printable(pause.reason).rstrip('.')}" if pause.reason else ""
    return f"{who} {until(pause.until_ms)}{reason}."


def _there(wait: Wait, account: AccountNow) -> Decimal | None:
    return account.available if wait.respects_holds or wait.holder else account.balance


def _missing(needs: Decimal, there: Decimal) -> str:
    return f"It needs {number(needs)} credits. {number(there)} are available, so {number(needs - there)} are missing."


def _payment(wait: Wait, purchase: Purchase, account: AccountNow, now: datetime) -> tuple[Todo, str]:
    listed = account.listed.get(purchase.checkout_id or "")
    status = None if listed is None or "status" in listed.unreadable else listed.status
    if status == CheckoutStatus.COMPLETED:
        return Todo.NOTHING, f"{purchase.price} is paid. The task continues at its next poll."
    expires = _expires(purchase, account)
    if status == CheckoutStatus.EXPIRED or (expires is not None and expires <= now):
        return Todo.OPEN_TASK, f"The link for {purchase.price} has expired. A retry of the task makes a new one."
    # React would run a link that is a script.
    if purchase.payment_url is None or not is_web_address(purchase.payment_url):
        return Todo.OPEN_TASK, f"The task waits for {purchase.price}. It has no link that a person could pay."
    there = _there(wait, account)
    is_short = wait.needs is not None and there is not None and there < wait.needs
    short = "" if not is_short or wait.needs is None or there is None else f"{_missing(wait.needs, there)} "
    return Todo.PAY, f"{short}The task waits until somebody pays {purchase.price}."


def _expires(purchase: Purchase, account: AccountNow) -> datetime | None:
    listed = account.listed.get(purchase.checkout_id or "")
    made = None if listed is None else listed.created_at
    if made is None and purchase.posts:
        made = datetime.fromisoformat(purchase.posts[-1])
    try:
        return None if made is None else made + CHECKOUT_LIFETIME
    except OverflowError:
        return None


def _credits(given: object) -> Decimal | None:
    try:
        return None if given is None else to_decimal(given)
    except ValueError:
        return None


def _moment(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if math.isfinite(given) and 0 <= given <= _LAST_SECOND else None


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
