"""
The process that stands for VideoDB: one answer to every request, on 127.0.0.1, and a note of when each came.

The emulator of the package would be the bottleneck at the thousands of requests per second that `HttpSensor` sends, and
so every contender is measured against this one.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from dev.benchmarks.channel import answer
from dev.benchmarks.environment import allow_many_connections

LOW, ENOUGH = 3, 1000
_KEY = re.compile(rb"^x-access-token:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_BACKLOG = 4096


@dataclass
class Account:
    """
    What the server answers and what it has seen. Times are those of the machine's monotonic clock.

    :param missing: answer 404 until the credits are there, instead of a balance that is too low.
    :param latency: seconds until an answer.
    """

    missing: bool = False
    latency: float = 0.0
    opened: bool = False
    times: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    _after_next: asyncio.Future[float] | None = None

    def settle(self, *, missing: bool, latency: float) -> None:
        """Choose how to answer."""
        self.missing, self.latency = missing, latency

    def shut(self) -> None:
        """Take the credits away again."""
        self.opened = False

    def note(self, key: str) -> None:
        """Remember a request."""
        self.times.append(time.monotonic())
        self.keys.append(key)

    def response(self) -> bytes:
        """Return the whole answer as it goes over the wire."""
        if self.missing and not self.opened:
            status, body = b"404 Not Found", b"{}"
        else:
            balance = ENOUGH if self.opened else LOW
            status, body = b"200 OK", json.dumps({"credit_balance": balance, "usage_this_month": 0}).encode()
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        return head + body

    def answered(self) -> None:
        """Let the credits arrive, if they were to arrive right after an answer: nobody waits longer for them."""
        if self._after_next is not None and not self._after_next.done():
            self.opened = True
            self._after_next.set_result(time.monotonic())

    async def open_after_next(self) -> float:
        """Let the credits arrive as soon as the next request has been answered without them; return when."""
        self._after_next = asyncio.get_running_loop().create_future()
        return await self._after_next

    def count(self, *, since: float = 0.0, until: float | None = None) -> int:
        """Return how many requests came in that time."""
        end = len(self.times) if until is None else bisect_left(self.times, until)
        return end - bisect_left(self.times, since)

    def by_key(self, *, since: float, until: float) -> dict[str, list[float]]:
        """Return when the requests of that time came, by API key."""
        found: dict[str, list[float]] = {}
        for place in range(bisect_left(self.times, since), bisect_left(self.times, until)):
            found.setdefault(self.keys[place], []).append(self.times[place])
        return found


class _Http(asyncio.Protocol):
    """As little HTTP as a GET needs, so that the server stays ahead of its clients."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in requests:
            key = _KEY.search(head)
            self._account.note(key[1].decode() if key else "")
            if self._account.latency:
                asyncio.get_running_loop().call_later(self._account.latency, self._respond)
            else:
                self._respond()

    def _respond(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._account.response())
        self._account.answered()


async def _main(channel: int) -> None:
    account = Account()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Http(account), host="127.0.0.1", port=0, backlog=_BACKLOG
    )
    await answer(
        channel,
        {
            "port": lambda: server.sockets[0].getsockname()[1],
            "settle": account.settle,
            "count": account.count,
            "by_key": account.by_key,
            "open_after_next": account.open_after_next,
            "shut": account.shut,
        },
    )


if __name__ == "__main__":
    allow_many_connections()
    asyncio.run(_main(int(sys.argv[1])))
