"""The outermost ASGI application, which adds the log and the faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse

from airflow_provider_videodb.emulator.http.exchange import Exchange
from airflow_provider_videodb.emulator.http.visitors import refusal_of

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.http.connections import Connections
    from airflow_provider_videodb.emulator.http.exchange import App, Receive, Scope, Send

CONTROL_PREFIX = "/_emulator"
HEALTH = "/health"
PAGE_PREFIXES = ("/pay/", "/invoices/")


class Gateway:
    """
    Refuses foreign visitors, logs API calls and applies faults.

    Control calls bypass log and faults, so a fault can always be cleared.

    :param app: the FastAPI application.
    """

    def __init__(self, app: App, state: EmulatorState, connections: Connections) -> None:
        self._app = app
        self._state = state
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refusal = refusal_of(scope.get("headers", ()), allowed_hosts=self._state.settings.allowed_hosts)
        if scope["type"] == "http" and refusal is not None:
            await _refused(refusal)(scope, receive, send)
            return
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


def _refused(refusal: str) -> JSONResponse:
    next_step = "use the address that the emulator printed, or name the host in allowed_hosts"
    message = f"{refusal}. Nothing was changed. Next step: {next_step}."
    return JSONResponse({"success": False, "message": message, "error_code": "foreign_visitor"}, status_code=403)


def is_control(path: str) -> bool:
    """Whether a path belongs to the control API."""
    return path in (CONTROL_PREFIX, HEALTH) or path.startswith(f"{CONTROL_PREFIX}/")


def is_page(path: str) -> bool:
    """Whether a path belongs to a page for a person."""
    return path == "/" or path.startswith(PAGE_PREFIXES)
