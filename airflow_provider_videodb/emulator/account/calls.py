"""The log of API calls. It never contains the API key."""

from __future__ import annotations

import fnmatch
import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MOST_CALLS = 5000
MOST_BODY = 10_000
ERRORS_FROM = 400
HEADERS = ("user-agent", "idempotency-key", "content-type", "x-videodb-client")


@dataclass(frozen=True, kw_only=True)
class Call:
    """
    One API call.

    The log leaves out control calls. It contains a call of a page only if a fault met it.

    :param at: emulator time of the arrival.
    :param wall_time: wall-clock time of the arrival.
    :param fault: kind of the fault that the call met.
    :param work_status: status of the emulator's own response. None when it did not carry the request out.
    :param status: status that the client received. None when it received none, or none yet.
    :param done: whether the emulator has finished with the call.
    """

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    fault: str | None
    at: datetime
    wall_time: datetime
    body: str = ""
    status: int | None = None
    work_status: int | None = None
    done: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the emulator carried the request out, known or unknown to the client."""
        return self.work_status is not None and self.work_status < ERRORS_FROM


@dataclass
class CallLog:
    """The latest `MOST_CALLS` calls, oldest first."""

    _calls: deque[Call] = field(default_factory=lambda: deque(maxlen=MOST_CALLS))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def begin(
        self,
        *,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        fault: str | None,
        at: datetime,
        wall_time: datetime,
    ) -> int:
        """Log a call on arrival and return its number."""
        call = Call(
            number=next(self._numbers),
            method=method,
            path=path,
            query=query,
            headers={name: headers[name] for name in HEADERS if name in headers},
            fault=fault,
            at=at,
            wall_time=wall_time,
        )
        self._calls.append(call)
        return call.number

    def update(self, number: int, **changes: object) -> None:
        """Change a logged call, unless the log has dropped it."""
        for index in range(len(self._calls) - 1, -1, -1):
            if self._calls[index].number == number:
                self._calls[index] = replace(self._calls[index], **changes)  # type: ignore[arg-type] # our own names
                return

    def select(self, *, method: str | None = None, path: str | None = None, accepted: bool | None = None) -> list[Call]:
        """Return the matching calls; `path` may contain ``*``."""
        return [
            call
            for call in self._calls
            if method in (None, call.method)
            and (path is None or fnmatch.fnmatchcase(call.path, path))
            and accepted in (None, call.accepted)
        ]

    def clear(self) -> None:
        """Drop every call. The numbering continues."""
        self._calls.clear()
