"""The TCP connection of a request, which faults reset or close."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import MutableMapping

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Address = tuple[str, int]


class Connections:
    """
    The open connections of one server, by client address.

    ASGI hides the transport of a request. uvicorn therefore runs a subclass of its protocol that registers each
    transport, and a request finds its own by ``scope["client"]``. This relies only on asyncio's `connection_made` and
    `connection_lost` and on a documented ASGI key.
    """

    def __init__(self) -> None:
        self._transports: dict[Address, asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """Return the protocol class for uvicorn."""
        transports = self._transports

        class RegisteredProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
                self.address = _client_of(transport)
                transports[self.address] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.address, None)
                super().connection_lost(exc)

        return RegisteredProtocol

    def close(self, scope: MutableMapping[str, Any]) -> None:
        """Close the connection of a request after pending bytes."""
        transport = self._of(scope)
        if transport is not None:
            transport.close()

    def reset(self, scope: MutableMapping[str, Any]) -> None:
        """Reset the connection of a request."""
        transport = self._of(scope)
        if transport is not None:
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()

    def abort_all(self) -> None:
        """Abort every connection."""
        for transport in list(self._transports.values()):
            transport.abort()

    def _of(self, scope: MutableMapping[str, Any]) -> asyncio.Transport | None:
        client = scope.get("client")
        return None if client is None else self._transports.get((client[0], client[1]))


def _client_of(transport: asyncio.BaseTransport) -> Address:
    # A client that left before the server accepted it has no address.
    host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
    return str(host), int(port)
