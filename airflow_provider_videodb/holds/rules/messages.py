"""Texts about holds for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_videodb.holds.rules.account import Assessment

#: Key of the XCom that says why a gate waits.
WAITING_KEY = "waiting"


def describe_wait(seen: Assessment, credits: Decimal, *, first: object = None) -> str:
    """
    Say why a gate waits, and at which place.

    :param first: who is next in line; ``None`` if it is this gate, or unknown.
    """
    blocked = _what_stops_everybody(seen)
    if blocked:
        return f"Waiting: {number(credits)} credits needed. {blocked}"
    parts = [f"{number(seen.balance)} on the account"]
    if seen.reserve:
        parts.append(f"{number(seen.reserve)} in reserve")
    parts += _taken(seen)
    left = number(seen.available - seen.promised)
    text = f"Waiting: {number(credits)} credits needed, {left} available ({', '.join(parts)})."
    return text + _place(seen, first)


def describe_place(seen: Assessment, credits: Decimal, *, first: object = None) -> str:
    """
    Say why a gate waits, without the balance.

    :param seen: an assessment whose balance and reserve are not meaningful.
    :param first: who is next in line; ``None`` if it is this gate, or unknown.
    """
    needed = f"Waiting: {number(credits)} credits needed"
    blocked = _what_stops_everybody(seen)
    if blocked:
        return f"{needed}. {blocked}"
    taken = _taken(seen)
    return (f"{needed} ({', '.join(taken)})." if taken else f"{needed}.") + _place(seen, first)


def _what_stops_everybody(seen: Assessment) -> str:
    if not seen.is_complete:
        return (
            "The account has more records of holds than one listing shows, so no gate opens. Ended holds are being "
            "removed."
        )
    if seen.paused_until is not None:
        return f"The account is paused {until(seen.paused_until)}."
    return ""


def _taken(seen: Assessment) -> list[str]:
    parts = []
    settling = sum(one.is_settling for one in seen.counted)
    if seen.counted:
        parts.append(f"{number(seen.held)} held by {_holders(len(seen.counted), settling)}")
    if seen.ahead:
        parts.append(f"{number(seen.promised)} promised to {len(seen.ahead)} ahead")
    return parts


def _place(seen: Assessment, first: object) -> str:
    text = f" Place {seen.place} of {seen.waiting}." if seen.waiting > 1 else ""
    return text if first is None else f"{text} Next in line: {first}."


def number(credits: Decimal) -> str:
    """Write credits without an exponent or needless zeros."""
    text = format(credits, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def moment(ms: int) -> str:
    """Write milliseconds since 1970 as a date."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def until(ms: int) -> str:
    """
    Say until when an account is paused.

    :param ms: milliseconds since 1970; 0 means until a person resumes it.
    """
    return f"until {moment(ms)}" if ms else "until somebody resumes it"


def _holders(counted: int, settling: int) -> str:
    text = f"{counted} pipeline{'' if counted == 1 else 's'}"
    return f"{text}, of which {settling} {'is' if settling == 1 else 'are'} settling" if settling else text
