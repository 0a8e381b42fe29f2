"""The log of API calls, for tests to count and for a person to look at. It never holds the API key."""

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
    One API call. Control calls are not logged, and checkout pages only when they meet a fault.

    :param status: what the caller was sent, None when no answer went out (or has not yet).
    :param work_status: what the emulator's own work came to, None when it did none.
    :param fault: kind of the fault the call met.
    :param done: the emulator has finished with the call.
    :param at: emulator time on arrival.
    :param wall_time: wall-clock time on arrival.
    """

    number: int
    method: str
    path: str
    query: str
    body: str
    headers: dict[str, str]
    at: datetime
    wall_time: datetime
    status: int | None = None
    work_status: int | None = None
    fault: str | None = None
    done: bool = False

    @property
    def accepted(self) -> bool:
        """The emulator carried the request out, whether or not the caller got to know."""
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
        """Write a call down on its arrival and return its number."""
        number = next(self._numbers)
        known = {name: headers[name] for name in HEADERS if name in headers}
        call = Call(
            number=number,
            method=method,
            path=path,
            query=query,
            body="",
            headers=known,
            fault=fault,
            at=at,
            wall_time=wall_time,
        )
        self._calls.append(call)
        return number

    def update(self, number: int, **changes: object) -> None:
        """Write down what became of a call; one that has left the log meanwhile is passed over."""
        for index in range(len(self._calls) - 1, -1, -1):
            if self._calls[index].number == number:
                self._calls[index] = replace(self._calls[index], **changes)  # type: ignore[arg-type] # our own names
                return

    def select(self, *, method: str | None = None, path: str | None = None, accepted: bool | None = None) -> list[Call]:
        """Return the calls that fit, oldest first; `path` may hold ``*``."""
        return [
            call
            for call in self._calls
            if method in (None, call.method)
            and (path is None or fnmatch.fnmatchcase(call.path, path))
            and accepted in (None, call.accepted)
        ]

    def clear(self) -> None:
        """Forget every call; numbers go on."""
        self._calls.clear()
