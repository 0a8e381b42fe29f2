"""The outermost ASGI application, which adds the log and the faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.http.exchange import Exchange

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.http.connections import Connections
    from airflow_provider_videodb.emulator.http.exchange import App, Receive, Scope, Send

CONTROL_PREFIX = "/_emulator"
PAGE_PREFIXES = ("/pay/", "/invoices/")


class Gateway:
    """
    Logs API calls and applies faults to them.

    Control calls bypass both, so a fault can always be cleared.

    :param app: the FastAPI application.
    """

    def __init__(self, app: App, state: EmulatorState, connections: Connections) -> None:
        self._app = app
        self._state = state
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or is_control(scope["path"]):
            await self._app(scope, receive, send)
            return
        page = is_page(scope["path"])
        # Both under one lock. A reset in between would leave the call with a fault that nobody can clear.
        with self._state.lock:
            fault = self._state.faults.take(scope["method"], scope["path"], is_page=page)
            exchange = Exchange(self._app, self._state, self._connections, scope=scope, receive=receive, send=send)
        if fault is None and page:
            await self._app(scope, receive, send)
        else:
            await exchange.run(fault)


def is_control(path: str) -> bool:
    """Whether a path belongs to the control API."""
    return path == CONTROL_PREFIX or path.startswith(f"{CONTROL_PREFIX}/")


def is_page(path: str) -> bool:
    """Whether a path belongs to a page for a person."""
    return path == "/" or path.startswith(PAGE_PREFIXES)
