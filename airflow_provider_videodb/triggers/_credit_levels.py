"""
Decides when credits are low or back. Pure.

A watcher compares each balance with a threshold, and sends an event only when the level changes. A level ends at a
higher balance than the one at which it began. So a balance that moves up and down around the threshold causes one
event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from airflow_provider_videodb.api.parsing import to_decimal, to_json_number
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.hooks.arguments import parse_credits, parse_hours
from airflow_provider_videodb.triggers._encoding import clean
from airflow_provider_videodb.triggers.events import FORMAT

#: How far above the threshold the balance has to be again by default.
_BACK_AT = Decimal("1.1")
#: Balances that a watcher remembers within ``warn_hours``.
_SAMPLES = 24
_SECONDS_PER_HOUR = 3600


class Kind(StrEnum):
    """What a watcher reports."""

    LOW = "low"
    BACK = "back"


class Level(StrEnum):
    """How the balance compares with the threshold."""

    OK = "ok"
    #: The balance is expected to fall below the threshold soon.
    WARNING = "warning"
    LOW = "low"


_SEVERITY = list(Level)


@dataclass(frozen=True, kw_only=True)
class Line:
    """
    The threshold and what belongs to it, in credits.

    :param below: credits are low below this balance.
    :param back_at: credits are back at this balance.
    :param warn_hours: how far ahead the watcher warns; ``None`` if it does not.
    """

    below: Decimal
    back_at: Decimal
    warn_hours: float | None

    @classmethod
    def parse(cls, *, below: object, back_at: object, warn_hours: object) -> Line:
        """
        Check what a DAG author passed.

        :raises VideoDBConfigError: if an argument breaks a rule.
        """
        line = parse_credits("below", below)
        if not line:
            raise VideoDBConfigError(
                "below is 0; it must be a number of credits above zero. Nothing was sent. Next step: choose a "
                "threshold at which a person still has time to pay."
            )
        back = line * _BACK_AT if back_at is None else parse_credits("back_at", back_at)
        if back < line:
            raise VideoDBConfigError(
                f"back_at is {back:f}, which is below the threshold of {line:f} credits. Nothing was sent. Next step: "
                "raise back_at, or leave it out."
            )
        return cls(
            below=line, back_at=back, warn_hours=None if warn_hours is None else parse_hours("warn_hours", warn_hours)
        )


class Sample(NamedTuple):
    """
    A balance at one moment.

    :param at: seconds since 1970.
    """

    at: float
    balance: Decimal


@dataclass(frozen=True, kw_only=True)
class Watched:
    """
    What a watcher remembers, even after a restart.

    :param account: mark of the account, see :func:`~airflow_provider_videodb.triggers._pauses.mark_of`.
    :param samples: earlier balances, oldest first.
    :param unsent: the event that Airflow may not have received yet.
    """

    account: str
    level: Level = Level.OK
    samples: tuple[Sample, ...] = ()
    unsent: dict[str, Any] | None = None

    @classmethod
    def from_json(cls, text: str) -> Watched:
        """
        Read the stored form, without a newer version's fields.

        :raises ValueError: if it cannot be read.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("it is not a JSON object")
        account, level, unsent = fields.get("account"), fields.get("level"), fields.get("unsent")
        if not isinstance(account, str) or not isinstance(level, str) or not isinstance(unsent, dict | None):
            raise ValueError("account, level or unsent has another type")
        try:
            samples = tuple(Sample(float(at), to_decimal(balance)) for at, balance in fields.get("samples", ()))
        except TypeError as err:
            raise ValueError(str(err)) from None
        return cls(account=account, level=Level(level), samples=samples, unsent=unsent)

    def to_json(self) -> str:
        """Return the stored form."""
        return json.dumps(
            {
                "format": FORMAT,
                "account": self.account,
                "level": self.level,
                "samples": [[at, to_json_number(balance)] for at, balance in self.samples],
                "unsent": self.unsent,
            }
        )


def advance(before: Watched | None, now: Sample, line: Line, *, kind: Kind, account: str, conn_id: str) -> Watched:
    """
    Return what a watcher remembers after another balance.

    It is equal to ``before`` if there is nothing new to remember. A new ``unsent`` has to be sent.

    :param before: ``None`` if the watcher has just begun. It also starts over with another account.
    """
    if before is None or before.account != account:
        before = Watched(account=account)
    samples: tuple[Sample, ...] = ()
    spent = None
    if line.warn_hours is not None:
        seconds = line.warn_hours * _SECONDS_PER_HOUR
        samples, spent = _kept(before.samples, now, seconds), spent_within(before.samples, now, seconds)
    level = next_level(before.level, now.balance, spent, line)
    if kind is Kind.LOW:
        fires, is_still_true = _SEVERITY.index(level) > _SEVERITY.index(before.level), level is before.level
    else:
        fires, is_still_true = before.level is Level.LOW and level is not Level.LOW, level is not Level.LOW
    unsent = before.unsent if is_still_true else None
    if fires:
        unsent = _payload(level if kind is Kind.LOW else kind, now, spent, line, conn_id=conn_id)
    return Watched(account=account, level=level, samples=samples, unsent=unsent)


def next_level(before: Level, balance: Decimal, spent: float | None, line: Line) -> Level:
    """
    Return the level after another balance.

    :param spent: credits that are expected to be spent soon; ``None`` if the watcher does not warn.
    """
    if balance < (line.back_at if before is Level.LOW else line.below):
        return Level.LOW
    if spent is None:
        return Level.OK
    is_short = float(balance) - spent < float(line.back_at if before is Level.WARNING else line.below)
    return Level.WARNING if is_short else Level.OK


def spent_within(samples: tuple[Sample, ...], now: Sample, seconds: float) -> float:
    """
    Return how many credits were spent recently.

    A rise of the balance is a top-up and does not count. What was spent between two samples counts in proportion to
    the part of that time that lies in the period.
    """
    begin, spent = now.at - seconds, 0.0
    for earlier, later in pairwise((*(one for one in samples if one.at < now.at), now)):
        dropped, lasted = earlier.balance - later.balance, later.at - earlier.at
        if dropped > 0 and later.at > begin:
            spent += float(dropped) * min(1.0, (later.at - begin) / lasted)
    return spent


def _kept(samples: tuple[Sample, ...], now: Sample, seconds: float) -> tuple[Sample, ...]:
    # A clock that was set back leaves samples of the future. One sample before the period shows how it began.
    past = [one for one in samples if one.at < now.at]
    first = next((i for i, one in enumerate(past) if one.at >= now.at - seconds), len(past))
    kept = past[max(0, first - 1) :]
    if not kept or now.at - kept[-1].at >= seconds / _SAMPLES:
        kept.append(now)
    return tuple(kept)


def _payload(level: str, now: Sample, spent: float | None, line: Line, *, conn_id: str) -> dict[str, Any]:
    hours_left = None
    if level == Level.WARNING and spent and line.warn_hours is not None:
        hours_left = round(line.warn_hours * float(now.balance - line.below) / spent, 1)
    return {
        "format": FORMAT,
        "level": str(level),
        "balance": to_json_number(now.balance),
        "below": to_json_number(line.below),
        "back_at": to_json_number(line.back_at),
        "warn_hours": line.warn_hours,
        "spent": None if spent is None else round(spent, 2),
        "hours_left": hours_left,
        "at": datetime.fromtimestamp(now.at, UTC).isoformat(timespec="seconds"),
        "videodb_conn_id": clean(conn_id),
    }
