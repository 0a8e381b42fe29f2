"""Pauses and resumes the gates of an account."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.holds.rules.records import NOBODY, Flag, Kind
from airflow_provider_videodb.overview.text import to_iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_videodb.holds.rules.account import View
    from airflow_provider_videodb.holds.store import HoldStore

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """
    A pause of an account.

    :param until_ms: milliseconds since 1970; 0 means until a person resumes the account.
    :param by: who paused it. This and the reason are empty if the record does not say.
    """

    until_ms: int
    by: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON for programs."""
        until = to_iso(self.until_ms) if self.until_ms else None
        return {"until": until, "by": self.by or None, "reason": self.reason or None}


def pause_account(store: HoldStore, view: View, account: str, pause: Pause) -> None:
    """
    Pause an account.

    The new pause is written before the earlier ones are removed. Otherwise a gate could open in between.
    """
    flag = Flag(
        account=account,
        holder=NOBODY,
        try_id=NOBODY,
        kind=Kind.PAUSED,
        credits=Decimal(0),
        ms=pause.until_ms,
    )
    value = {"format": _FORMAT, "kind": "paused", "by": pause.by, "reason": pause.reason, "since_ms": view.listed_at}
    store.write(flag.key, json.dumps(value))
    remove_pauses(store, (earlier for earlier in view.flags if earlier != flag), account)


def remove_pauses(store: HoldStore, flags: Iterable[Flag], account: str) -> None:
    """Remove the pauses of an account."""
    for flag in flags:
        if flag.kind is Kind.PAUSED and flag.account == account:
            store.delete(flag.key)


def active_pause(store: HoldStore, view: View) -> Pause | None:
    """Return the latest pause; ``None`` if there is none."""
    until = view.paused_until
    if until is None:
        return None
    flag = next(flag for flag in view.flags if flag.kind is Kind.PAUSED and flag.ms == until)
    try:
        value = dict(json.loads(store.read(flag.key) or ""))
    except (ValueError, TypeError):
        value = {}
    return Pause(until_ms=until, by=str(value.get("by", "")), reason=str(value.get("reason", "")))
