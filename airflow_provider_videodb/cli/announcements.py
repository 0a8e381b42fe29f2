"""Keeps two people, or a command that runs twice, from buying the same credits."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_videodb.holds.store import HoldStore

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """
    A purchase by hand that VideoDB's list may not show yet.

    :param by: who asked for it; empty if the record does not say.
    :param ms: when, in milliseconds since 1970.
    """

    by: str
    ms: int


class Announcer:
    """
    Announces the purchase of one command.

    :param account: the fingerprint of the account.
    :param amount: whole US dollars. Purchases of other amounts do not matter.
    :param by: who asks for it.
    :param lasts: how long VideoDB's list may not show the checkout.
    """

    def __init__(self, store: HoldStore, *, account: str, amount: int, by: str, lasts: timedelta) -> None:
        self._store = store
        self._prefix = f"videodb/topups/{account}/{amount}/"
        self._own = uuid4().hex
        self._text = json.dumps({"format": _FORMAT, "by": by})
        self._lasts_ms = int(lasts.total_seconds() * 1000)

    def announce(self) -> Announcement | None:
        """
        Announce the purchase, and return the newest one of another command.

        The own announcement is written before the others are read. So of two commands at the same time, at least one
        sees the other.
        """
        now = int(time.time() * 1000)
        self._store.write(f"{self._prefix}{now}/{self._own}", self._text)
        recent = {}
        for key in self._store.list(self._prefix).keys:
            moment, _, name = key.removeprefix(self._prefix).partition("/")
            if name == self._own:
                continue
            if moment.isdecimal() and abs(now - int(moment)) < self._lasts_ms:
                recent[int(moment)] = key
            else:
                self._store.delete(key)
        return Announcement(by=self._author(recent[max(recent)]), ms=max(recent)) if recent else None

    def withdraw(self) -> None:
        """Remove the own announcement, because nothing was sent."""
        for key in self._store.list(self._prefix).keys:
            if key.endswith(f"/{self._own}"):
                self._store.delete(key)

    def _author(self, key: str) -> str:
        try:
            value = json.loads(self._store.read(key) or "")
        except ValueError:
            return ""
        return str(value.get("by", "")) if isinstance(value, dict) else ""
