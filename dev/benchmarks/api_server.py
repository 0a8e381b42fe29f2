"""
A minimal VideoDB that counts requests.

`HttpSensor` sends thousands of requests per second, at which the package's emulator would be the bottleneck. So every
contender is measured against this server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dev.benchmarks.children import Child, allow_many_connections, reply_to_commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOW, _ENOUGH = 3, 1000
_KEY = re.compile(rb"^x-access-token:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_BACKLOG = 4096


@contextmanager
def api_server(logs: Path, *, missing: bool, latency: float = 0.0) -> Iterator[Child]:
    """
    Run a server whose account lacks credits.

    Its commands are `port` and the public methods of `Account`.

    :param missing: it says so by a 404 instead of by a low balance.
    :param latency: seconds until it responds.
    """
    with Child("dev.benchmarks.api_server", env=os.environ, log_file=logs / "api_server.log") as child:
        child.ask("configure", missing=missing, latency=latency)
        yield child


@dataclass
class Account:
    """
    The account behind the server.

    :param received: when each request arrived, on the machine's monotonic clock, by API key.
    """

    missing: bool = False
    latency: float = 0.0
    enough: bool = False
    received: dict[str, list[float]] = field(default_factory=dict)
    _next_response: asyncio.Future[float] | None = None

    def configure(self, *, missing: bool, latency: float) -> None:
        """Choose how to respond."""
        self.missing, self.latency = missing, latency

    def give_credits(self) -> None:
        """Set the balance above the threshold."""
        self.enough = True

    def take_credits(self) -> None:
        """Set the balance below the threshold again."""
        self.enough = False

    async def give_credits_after_next_response(self) -> float:
        """Let the credits arrive after one more low response."""
        self._next_response = asyncio.get_running_loop().create_future()
        return await self._next_response

    def count(self, *, since: float = 0.0, until: float | None = None) -> int:
        """Return how many requests arrived in this time."""
        return sum(map(len, self.by_key(since=since, until=until).values()))

    def by_key(self, *, since: float, until: float | None = None) -> dict[str, list[float]]:
        """Return when requests arrived, by API key."""
        end = time.monotonic() if until is None else until
        return {key: at[bisect_left(at, since) : bisect_left(at, end)] for key, at in self.received.items()}

    def response(self) -> bytes:
        """Return a whole HTTP response."""
        if self.missing and not self.enough:
            status, body = b"404 Not Found", b"{}"
        else:
            balance = _ENOUGH if self.enough else _LOW
            status, body = b"200 OK", json.dumps({"credit_balance": balance, "usage_this_month": 0}).encode()
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        return head + body

    def on_response_sent(self) -> None:
        """Let the credits arrive if they are due."""
        if self._next_response is not None and not self._next_response.done():
            self.enough = True
            self._next_response.set_result(time.monotonic())


class _Http(asyncio.Protocol):
    """
    As little HTTP as a GET needs.

    So the server stays faster than its clients.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in requests:
            key = _KEY.search(head)
            self._account.received.setdefault(key[1].decode() if key else "", []).append(time.monotonic())
            if self._account.latency:
                asyncio.get_running_loop().call_later(self._account.latency, self._respond)
            else:
                self._respond()

    def _respond(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._account.response())
        self._account.on_response_sent()


async def _main(channel: int) -> None:
    account = Account()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Http(account), host="127.0.0.1", port=0, backlog=_BACKLOG)
    commands = (
        account.configure,
        account.give_credits,
        account.take_credits,
        account.give_credits_after_next_response,
        account.count,
        account.by_key,
    )
    port = server.sockets[0].getsockname()[1]
    await reply_to_commands(channel, {"port": lambda: port} | {command.__name__: command for command in commands})


if __name__ == "__main__":
    allow_many_connections()
    asyncio.run(_main(int(sys.argv[1])))
