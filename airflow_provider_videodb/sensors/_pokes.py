"""What one try of a sensor remembers between pokes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.triggers._pauses import Pause, mark_of
from airflow_provider_videodb.triggers.events import FORMAT

if TYPE_CHECKING:
    from airflow_provider_videodb.hooks.connection import ConnectionSettings


@dataclass(frozen=True, kw_only=True)
class Pokes:
    """
    The pokes of one try so far.

    :param try_number: the try of the task.
    :param account: mark of the polled account, see :func:`~airflow_provider_videodb.triggers._pauses.mark_of`; ``None``
        until the connection has been read.
    :param failures: number of consecutive failures.
    :param pause: how long VideoDB asked to wait.
    """

    try_number: int
    account: str | None = None
    failures: int = 0
    pause: Pause | None = None

    @classmethod
    def from_dict(cls, stored: object, *, try_number: int) -> Pokes:
        """Read the JSON form; pokes of another try, or those that cannot be read, do not count."""
        if not isinstance(stored, Mapping) or stored.get("try_number") != try_number:
            return cls(try_number=try_number)
        pause = stored.get("pause")
        try:
            return cls(
                try_number=try_number,
                account=stored.get("account"),
                failures=int(stored.get("failures", 0)),
                pause=None if pause is None else Pause.from_dict(pause),
            )
        except (KeyError, TypeError, ValueError):
            return cls(try_number=try_number)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"format": FORMAT, **asdict(self)}

    def of(self, settings: ConnectionSettings) -> Pokes:
        """Return the pokes of the account that the connection names now."""
        mark = mark_of(settings, like=self.account or "")
        return self if mark == self.account else Pokes(try_number=self.try_number, account=mark)

    def asked_to_wait(self, seconds: float, *, now: float) -> Pokes:
        """Note that VideoDB asked for a pause."""
        return replace(self, pause=Pause(until=now + seconds, asked=seconds, account=self.account or ""))

    def by_the_clock(self, now: float) -> Pokes:
        """Drop a pause that is over, and shorten one that a clock set back has prolonged."""
        left = 0.0 if self.pause is None else self.pause.left(now)
        if self.pause is None or not left:
            return replace(self, pause=None)
        return replace(self, pause=replace(self.pause, until=min(self.pause.until, now + left)))
