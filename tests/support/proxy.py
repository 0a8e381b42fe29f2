"""Run a forward proxy that a test can break at chosen points."""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING, Any

from tests.support.threads import Listener
from tests.support.tls import Connection, reset_on_close

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ForwardProxy(Listener):
    """
    Connects each CONNECT to one local port, whichever host the client names.

    :param port: the port at which all tunnels end.
    :param handle: called with a `Tunnel` for each connection.
    :param context: the TLS context of the proxy itself, if the client reaches it by TLS.
    """

    def __init__(self, port: int, handle: Callable[[Tunnel], None], *, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._target = port
        self._handle = handle
        self._context = context
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        #: The heads of the requests to the proxy itself.
        self.heads: list[bytes] = []

    def serve(self, connection: Connection) -> None:
        connection.settimeout(10)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection:
            self._handle(Tunnel(self, connection, self._target))


class Tunnel:
    """One connection of a client to the proxy."""

    def __init__(self, proxy: Any, client: Connection, port: int) -> None:
        self.proxy = proxy
        self._client = client
        self._port = port

    def read_head(self) -> bytes:
        """Read the head of the request to the proxy."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = self._client.recv(1)
            if not data:
                break
            head += data
        self.proxy.heads.append(head)
        return head

    def say(self, data: bytes) -> None:
        """Send bytes from the proxy to the client."""
        self._client.sendall(data)

    def hang(self) -> None:
        """Wait until the test ends."""
        self.proxy.stopping.wait(30)

    def reset(self) -> None:
        """Make closing the connection reset it."""
        reset_on_close(self._client)

    def open(self) -> None:
        """Accept the CONNECT."""
        self.read_head()
        self.say(ESTABLISHED)

    def relay(self, *, until: threading.Event | None = None, sent: int = 1 << 30, tail: int = 0) -> None:
        """
        Carry bytes in both directions until a side ends or a limit is reached.

        :param until: an event that ends the relay. The client gets only `tail` bytes of what the target sends then.
        :param sent: the most bytes that go to the target.
        :param tail: the most bytes that go to the client after `until`.
        """
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as target:
            other = {self._client: target, target: self._client}
            while sent > 0:
                for source in self._ready(target):
                    if until is not None and until.is_set():
                        self._client.sendall(target.recv(tail) if tail else b"")
                        return
                    data = source.recv(min(65536, sent))
                    if not data:
                        return
                    other[source].sendall(data)
                    sent -= len(data) if source is self._client else 0

    def _ready(self, target: Connection) -> list[Connection]:
        if isinstance(self._client, ssl.SSLSocket) and self._client.pending():
            return [self._client]
        return select.select([self._client, target], [], [], 0.02)[0]
