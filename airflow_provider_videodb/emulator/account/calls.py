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


@dataclass(frozen=True, kw_only=True)
class Call:
    """
    One API call, numbered by its log.

    The log leaves out control calls. It contains a call of a page only if a fault met it.

    :param account: the account of the API key. Empty if the emulator knows no such key.
    :param at: emulator time of the arrival.
    :param wall_time: wall-clock time of the arrival.
    :param fault: kind of the fault that the call met.
    :param work_status: status of the emulator's own response. None when it did not carry the request out.
    :param status: status that the client received. None when it received none, or none yet.
    :param done: whether the emulator has finished with the call.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    fault: str | None
    at: datetime
    wall_time: datetime
    account: str = ""
    number: int = 0
    body: str = ""
    status: int | None = None
    work_status: int | None = None
    done: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the emulator carried the request out, known or unknown to the client."""
        return self.work_status is not None and self.work_status < 400


@dataclass(frozen=True, kw_only=True)
class Callback:
    """
    A call of the emulator to the ``callback_url`` of a job that has ended.

    :param at: emulator time when it ended.
    :param url: without its query.
    :param status: status of the response. None when there was none.
    :param failure: why there was none.
    """

    at: datetime
    account: str
    job_id: str
    url: str
    body: str
    status: int | None
    failure: str = ""


@dataclass
class CallLog:
    """The latest `MOST_CALLS` calls, oldest first, and the callbacks."""

    callbacks: deque[Callback] = field(default_factory=lambda: deque(maxlen=MOST_CALLS))
    _calls: deque[Call] = field(default_factory=lambda: deque(maxlen=MOST_CALLS))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, call: Call) -> int:
        """Log a call on arrival and return its number."""
        number = next(self._numbers)
        self._calls.append(replace(call, number=number))
        return number

    def update(self, number: int, **changes: object) -> Call | None:
        """
        Change a logged call and return it.

        :return: None if the log has dropped the call.
        """
        for index in range(len(self._calls) - 1, -1, -1):
            if self._calls[index].number == number:
                self._calls[index] = replace(self._calls[index], **changes)  # type: ignore[arg-type] # our own names
                return self._calls[index]
        return None

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
        """Drop every call and callback. The numbering continues."""
        self._calls.clear()
        self.callbacks.clear()
