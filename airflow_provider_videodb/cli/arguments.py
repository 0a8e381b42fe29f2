"""
Reads what a person typed.

argparse shows the text of an error.
"""

from __future__ import annotations

import re
import time
from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import account_part
from airflow_provider_videodb.hooks.arguments import parse_count, parse_credits, parse_dollars

if TYPE_CHECKING:
    from decimal import Decimal

_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?:[0-9]{1,6}[smhd])+")
_CHECKOUT_ID = re.compile(r"[\x21-\x7e]{1,255}")
_MAX_LIMIT = 10_000
#: How VideoDB's keys begin.
_KEY_LIKE = re.compile(r"sk[-_][\x21-\x7e]{8,}")
_HASHED_ACCOUNT = re.compile(r"~[0-9a-f]{16}")


def parse_duration(text: str) -> int:
    """Return the milliseconds of ``90s``, ``45m``, ``1h30m`` or ``2d``."""
    word = text.strip().lower()
    parts = re.findall(r"([0-9]+)([smhd])", word) if _DURATION.fullmatch(word) else []
    duration = sum(int(count) * _MS[unit] for count, unit in parts)
    if not 0 < duration <= 366 * _MS["d"]:
        raise ArgumentTypeError(f"{text!r} is not a duration up to 366d; write it as 45m, 1h, 1h30m or 2d")
    return duration


def parse_since(text: str) -> int:
    """
    Return a moment in milliseconds since 1970.

    :param text: an age such as ``2d``, or an ISO date, in UTC by default.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return int(time.time() * 1000) - parse_duration(text)
        except ArgumentTypeError:
            raise ArgumentTypeError(
                f"{text!r} is neither an age such as 12h or 2d nor a date such as 2026-11-25 or 2026-11-25T18:00"
            ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.astimezone(UTC).timestamp() * 1000)
    except OverflowError:
        raise ArgumentTypeError(f"{text!r} is outside of the years 1 to 9999 in UTC") from None


def parse_account(text: str) -> str:
    """
    Return an account's part of the keys.

    The list shows this part, so it is accepted as well.
    """
    if not text.strip():
        raise ArgumentTypeError("the name of the account is empty")
    return text if _HASHED_ACCOUNT.fullmatch(text) else account_part(text)


def parse_conn_id(text: str) -> str:
    """Return the id of a connection; refuse an API key without repeating it."""
    if not text.strip():
        raise ArgumentTypeError("the id of the connection is empty")
    if _KEY_LIKE.search(text):
        raise ArgumentTypeError(
            "this looks like an API key; give the id of a connection, and replace the key, because the shell may have "
            "saved it"
        )
    return text


def parse_amount(text: str) -> int:
    """Return whole US dollars above zero."""
    try:
        return parse_dollars("AMOUNT", text)
    except VideoDBConfigError:
        raise ArgumentTypeError(f"{_shown(text)} is not a whole number of US dollars above zero") from None


def parse_figure(text: str) -> Decimal:
    """Return a number of credits, zero or more."""
    try:
        return parse_credits("CREDITS", text)
    except VideoDBConfigError:
        raise ArgumentTypeError(f"{_shown(text)} is not a number of credits, zero or more") from None


def parse_limit(text: str) -> int:
    """Return how many entries to show."""
    try:
        limit = parse_count("LIMIT", text)
    except VideoDBConfigError:
        limit = 0
    if not 0 < limit <= _MAX_LIMIT:
        raise ArgumentTypeError(f"{_shown(text)} is not a whole number from 1 to {_MAX_LIMIT}")
    return limit


def parse_checkout_id(text: str) -> str:
    """Return the id of a checkout."""
    if not _CHECKOUT_ID.fullmatch(text) or _KEY_LIKE.search(text):
        raise ArgumentTypeError(f"{_shown(text)} is not an id of a checkout")
    return text


def _shown(text: str) -> str:
    return "an API key" if _KEY_LIKE.search(text) else repr(text[:80])


def parse_reason(text: str) -> str:
    """Return the reason on one line."""
    reason = " ".join(text.split())
    if not reason:
        raise ArgumentTypeError("the reason is empty; say in a few words why")
    return reason
