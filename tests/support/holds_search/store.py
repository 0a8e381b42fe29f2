"""Keeps flags in memory, as Airflow's database does: each call happens at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.holds.rules.records import PREFIX
from airflow_provider_videodb.holds.store import Listing

if TYPE_CHECKING:
    from collections.abc import Callable


class MemoryStore:
    """
    A store of holds.

    :param changed: called with the key after each change.
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._flags: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._changed = changed

    def list(self, prefix: str, *, offset: int = 0) -> Listing:
        """Return the keys that begin with ``prefix``."""
        keys = sorted(key for key in self._kept(prefix) if key.startswith(prefix))
        return Listing(tuple(keys[offset:]), is_complete=True)

    def read(self, key: str) -> str | None:
        """Return the text of a key."""
        return self._kept(key).get(key)

    def write(self, key: str, text: str) -> None:
        """Keep a text."""
        self._kept(key)[key] = text
        self._changed(key)

    def delete(self, key: str) -> None:
        """Forget a key."""
        if self._kept(key).pop(key, None) is not None:
            self._changed(key)

    def _kept(self, key: str) -> dict[str, str]:
        # The journal has another prefix. Notes are many, and nobody decides by them.
        return self._flags if key.startswith(PREFIX) else self._notes
