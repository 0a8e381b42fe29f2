"""
Connections that bound a response in time and size, and that note when they begin to write a request.

- A socket's read timeout starts anew with every byte, so a server that drips could hold a worker. Here the read
  timeout of a connection is the time that a whole response may take.
- A response is bounded where it leaves the socket: interim responses, headers, body and trailers count alike, whoever
  reads them.
- Libraries report what became of a connection, not what was written to it. :func:`noting_writes` says whether a byte
  of a request may have left; the CONNECT to a proxy and a TLS handshake are not part of the request.
- Headers that cannot be parsed are an error, not a line in the log.
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

#: Billing responses are small; whatever is larger is not one.
MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class ResponseTooLongError(OSError):
    """A response has more bytes than any response of VideoDB."""

    def __init__(self) -> None:
        super().__init__(f"the response is longer than {MAX_RESPONSE_BYTES} bytes")


@dataclass
class Writing:
    """
    What is known of writing one request.

    :param before: called once, when the connection stands and the first byte is about to be written. What it raises
        keeps the request from being written.
    :param begun: whether a byte of it may have been written.
    """

    before: Callable[[], None] | None = None
    begun: bool = False

    def begin(self) -> None:
        """Note that a write begins."""
        if not self.begun and self.before is not None:
            self.before()
        # Noted before the write: one that fails may have written a part.
        self.begun = True


_WRITING: ContextVar[Writing | None] = ContextVar("videodb_writing", default=None)


@contextmanager
def noting_writes(*, before: Callable[[], None] | None = None) -> Iterator[Writing]:
    """
    Note what connections of this file write in this thread until the block ends.

    :param before: called right before the first byte of a request is written, unless it raises.
    """
    writing = Writing(before)
    token = _WRITING.set(writing)
    try:
        yield writing
    finally:
        _WRITING.reset(token)


class _BoundedReader(io.RawIOBase):
    """Reads from a socket, within its timeout counted from now on and up to the largest response."""

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
        # All that HTTPResponse wants of a socket is a file to read from.
        file_maker: Any = SimpleNamespace(makefile=lambda _mode: io.BufferedReader(_BoundedReader(sock)))
        super().__init__(file_maker, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        if self.status < 200:
            # http.client skips 100 alone and takes any other interim response for the final one. The connection would
            # be used again, and the final response would be read as the one to the next request.
            raise HTTPException(f"an interim response ({self.status}) stands for the final one")
        unparsed = self.headers.get_payload()
        # urllib3 would log it and go on without the headers after it; a server may echo the key there.
        if isinstance(unparsed, str) and unparsed:
            raise HTTPException("the headers of the response cannot be parsed")


class _GuardedConnection(HTTPConnection):
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
            # http.client would connect in its own send(), and a host that refuses would look like one written to.
            self.connect()
        writing = _WRITING.get()
        if writing is not None and not self._connecting:
            writing.begin()
        super().send(data)


def guarded(pool_class: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Return a pool like ``pool_class``, for SOCKS say, whose connections are those of this file."""
    if issubclass(pool_class.ConnectionCls, _GuardedConnection):
        return pool_class
    connection_class = type("GuardedConnection", (_GuardedConnection, pool_class.ConnectionCls), {})
    return type(f"Guarded{pool_class.__name__}", (pool_class,), {"ConnectionCls": connection_class})
