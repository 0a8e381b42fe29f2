"""
Connections that limit the time and the size of a response.

- The read timeout of a socket starts again with every byte, so a server that sends one byte at a time could hold a
  worker. Here the read timeout is the time in which the whole response has to arrive.
- The limits apply where bytes leave the socket. Interim responses, headers, body and trailers all count.
- A library reports what happened to a connection, not whether it wrote to it. :func:`noting_writes` says whether a
  byte of the request may have left. The CONNECT to a proxy and a TLS handshake are not part of the request.
- Headers that cannot be parsed are an error, not a log line.
"""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from urllib3 import HTTPConnectionPool

#: Billing responses are small. A larger response does not come from VideoDB.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class ResponseTooLongError(OSError):
    """A response is longer than any response of VideoDB."""

    def __init__(self) -> None:
        super().__init__(f"the response is longer than {MAX_RESPONSE_BYTES} bytes")


@dataclass
class Writing:
    """
    Whether one request has been written.

    :param before: called once, when the connection is open and before the first byte is written. If it raises,
        nothing is written.
    :param begun: whether a byte may have been written.
    """

    before: Callable[[], None] | None = None
    begun: bool = False

    def begin(self) -> None:
        """Note that a write begins."""
        if not self.begun and self.before is not None:
            self.before()
        # Set this before the write, because a write that fails may have sent a part.
        self.begun = True


_WRITING: ContextVar[Writing | None] = ContextVar("videodb_writing", default=None)


@contextmanager
def noting_writes(*, before: Callable[[], None] | None = None) -> Iterator[Writing]:
    """
    Note whether this thread writes a request.

    :param before: called right before the first byte is written. If it raises, nothing is written.
    """
    writing = Writing(before)
    token = _WRITING.set(writing)
    try:
        yield writing
    finally:
        _WRITING.reset(token)


class _BoundedReader(io.RawIOBase):
    """Reads one response from a socket, within a deadline and a maximum size."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._left = MAX_RESPONSE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the response did not end in time")
            self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise ResponseTooLongError
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        # HTTPResponse uses a socket only to make a file from it.
        file_maker: Any = SimpleNamespace(makefile=lambda _mode: io.BufferedReader(_BoundedReader(sock)))
        super().__init__(file_maker, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        if self.status < 200:
            # http.client skips a 100, but treats any other interim response as the final one. The connection would be
            # reused, and the final response would be read as the response to the next request.
            raise HTTPException(f"interim response {self.status} instead of a final one")
        unparsed = self.headers.get_payload()
        # urllib3 would log the text, in which a server may echo the key, and ignore the headers after it.
        if isinstance(unparsed, str) and unparsed:
            raise HTTPException("the headers of the response cannot be parsed")


class _DeadlineConnection(HTTPConnection):
    response_class = _BoundedResponse
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            # http.client would connect inside its own send(), so a refused connection would count as a write.
            self.connect()
        writing = _WRITING.get()
        if writing is not None and not self._connecting:
            writing.begin()
        super().send(data)


def with_deadlines(pool_class: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """
    Return a subclass of a pool whose connections have a deadline.

    :param pool_class: any pool of urllib3, also that of a SOCKS proxy.
    """
    if issubclass(pool_class.ConnectionCls, _DeadlineConnection):
        return pool_class
    connection_class = type("DeadlineConnection", (_DeadlineConnection, pool_class.ConnectionCls), {})
    return type(f"Deadline{pool_class.__name__}", (pool_class,), {"ConnectionCls": connection_class})
