"""What one try of a sensor remembers from poke to poke. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.triggers._pauses import Pause, mark_of

if TYPE_CHECKING:
    from airflow_provider_videodb.hooks.connection import ConnectionSettings


@dataclass(frozen=True, kw_only=True)
class Pokes:
    """
    The pokes of one try so far.

    :param account: which account was asked, see :func:`~airflow_provider_videodb.triggers._pauses.mark_of`; ``None``
        while the connection has not been read.
    :param failures: how many failed in a row.
    :param pause: how long VideoDB asked to wait.
    """

    try_number: int
    account: str | None = None
    failures: int = 0
    pause: Pause | None = None

    @classmethod
    def from_dict(cls, stored: object, *, try_number: int) -> Pokes:
        """Read the JSON form; what is not that of this try, or of another version, is forgotten."""
        if not isinstance(stored, Mapping) or stored.get("try_number") != try_number or "account" not in stored:
            return cls(try_number=try_number)
        pause = stored["pause"]
        return cls(
            try_number=try_number,
            account=stored["account"],
            failures=int(stored["failures"]),
            pause=None if pause is None else Pause.from_dict(pause),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    def of(self, settings: ConnectionSettings) -> Pokes:
        """Return what is known of the account that the connection names now: of another one nothing is."""
        mark = mark_of(settings, like=self.account or "")
        return self if mark == self.account else Pokes(try_number=self.try_number, account=mark)

    def asked_to_wait(self, seconds: float, *, now: float) -> Pokes:
        """Note that VideoDB asked for a pause; that is not a failure."""
        return replace(self, pause=Pause(until=now + seconds, asked=seconds, account=self.account or ""))

    def by_the_clock(self, now: float) -> Pokes:
        """Return the same by a clock that may have been set back, or without a pause that is over."""
        left = 0.0 if self.pause is None else self.pause.left(now)
        if self.pause is None or not left:
            return replace(self, pause=None)
        return replace(self, pause=replace(self.pause, until=min(self.pause.until, now + left)))

    def failed(self) -> Pokes:
        """Note a poke that failed."""
        return replace(self, failures=self.failures + 1)

    def worked(self) -> Pokes:
        """Note a poke that worked."""
        return replace(self, failures=0, pause=None)
