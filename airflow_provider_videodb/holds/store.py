"""
Where flags are kept.

Another store, such as a database table or Redis, is one class with the methods of :class:`HoldStore`. A listing has to
be atomic, and has to show every write that was confirmed before it. Every method raises a
:class:`~airflow_provider_videodb.exceptions.VideoDBError` if the store did not confirm the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from airflow_provider_videodb.purchases.variables import (
    delete_variable,
    list_variables,
    read_variable,
    write_variable,
)


@dataclass(frozen=True, slots=True)
class Listing:
    """
    The keys of one listing.

    :param is_complete: ``False`` if there are more keys than one listing returns.
    """

    keys: tuple[str, ...]
    is_complete: bool


class HoldStore(Protocol):
    """Keeps a text under a key."""

    def list(self, prefix: str, *, offset: int = 0) -> Listing:
        """Return the keys that begin with ``prefix``, sorted, from ``offset`` on, as they are at one moment."""
        ...

    def read(self, key: str) -> str | None:
        """Return the text; ``None`` if the key certainly does not exist."""
        ...

    def write(self, key: str, text: str) -> None:
        """Keep the text, and return after the store has confirmed it."""
        ...

    def delete(self, key: str) -> None:
        """Remove the key, if it exists."""
        ...


class VariableStore:
    """Keeps flags as Variables, from worker or triggerer."""

    def list(self, prefix: str, *, offset: int = 0) -> Listing:
        """Return the keys that begin with ``prefix``, sorted, from ``offset`` on, as they are at one moment."""
        return Listing(*list_variables(prefix, offset=offset))

    def read(self, key: str) -> str | None:
        """Return the value; ``None`` if the Variable certainly does not exist."""
        return read_variable(key)

    def write(self, key: str, text: str) -> None:
        """Write a Variable."""
        write_variable(key, text)

    def delete(self, key: str) -> None:
        """Delete a Variable, if it exists."""
        delete_variable(key)
