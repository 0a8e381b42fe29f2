"""
Connections whose answers arrive by a deadline: status line, headers and body together.

A socket's read timeout starts anew with every byte, so a server that drips could hold a worker for ever. Here the
read timeout of a connection is the time that a whole answer may take.

Headers that cannot be parsed are an error here, and not a line in the log.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPException, HTTPResponse
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket


class _HurriedReader(io.RawIOBase):
    """Reads from a socket until its timeout, counted from now on, has passed."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not end in time")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _HurriedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        # All that HTTPResponse wants of a socket is a file to read from.
        file_maker: Any = SimpleNamespace(makefile=lambda _mode: io.BufferedReader(_HurriedReader(sock)))
        super().__init__(file_maker, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        unparsed = self.headers.get_payload()
        # urllib3 would log it and go on without the headers after it; a server may echo the key there.
        if isinstance(unparsed, str) and unparsed:
            raise HTTPException("the headers of the answer cannot be parsed")


class _HurriedHTTPConnection(HTTPConnection):
    response_class = _HurriedResponse


class _HurriedHTTPSConnection(HTTPSConnection):
    response_class = _HurriedResponse


class _HurriedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _HurriedHTTPConnection


class _HurriedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HurriedHTTPSConnection


#: What a ``urllib3`` pool manager makes its connections with.
POOLS = {"http": _HurriedHTTPPool, "https": _HurriedHTTPSPool}
