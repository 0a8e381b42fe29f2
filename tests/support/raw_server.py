"""Serve the exact bytes of a test, even if they break HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """A request as it was received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


RawResponse = bytes | Callable[[Request], bytes | Iterable[bytes]]


def raw_response(body: object = b"", status: int = 200, **headers: str) -> bytes:
    """Return a response; `Retry_After="1"` is a header, and all but bytes becomes JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(payload)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload


class RawServer:
    """
    Sends the n-th response to the n-th request, and repeats the last one.

    :param responses: bytes, or a function from the request to bytes or to pieces of bytes.
    :param hang_up: close the connection after each response, without announcing it.
    """

    def __init__(self, *responses: RawResponse, hang_up: bool = False) -> None:
        self._responses = list(responses)
        self._hang_up = hang_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self.requests: list[Request] = []
        self.connections = 0
        #: Set when the server stops, so that a response that waits for it ends then.
        self.stopping = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        # Without the shutdown, the thread would stay in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def dripping(self, pieces: Iterable[bytes], *, every: float) -> Iterator[bytes]:
        """Send piece by piece, until the server stops."""
        for piece in pieces:
            yield piece
            if self.stopping.wait(every):
                return

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Several tests need a client that hangs up first.
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as incoming:
            while request := _read(incoming):
                self.requests.append(request)
                reply = self._responses[min(len(self.requests), len(self._responses)) - 1]
                reply = reply(request) if callable(reply) else reply
                for piece in [reply] if isinstance(reply, bytes) else reply:
                    connection.sendall(piece)
                if self._hang_up:
                    return


def _read(incoming: Any) -> Request | None:
    line = incoming.readline().decode("latin-1").split()
    if not line:
        return None
    headers = {}
    while text := incoming.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    target = urlsplit(line[1])
    return Request(
        method=line[0],
        path=target.path,
        query={name: values[0] for name, values in parse_qs(target.query).items()},
        headers=headers,
        body=incoming.read(int(headers.get("content-length", 0))),
    )
