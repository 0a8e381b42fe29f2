"""The outermost ASGI application, which adds the log and the faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, QueryParams

from airflow_provider_videodb.emulator.errors import UnknownAccountError
from airflow_provider_videodb.emulator.http.access import ACCOUNT, choose_account
from airflow_provider_videodb.emulator.http.exchange import Exchange
from airflow_provider_videodb.emulator.http.visitors import refusal_of

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.account.accounts import Accounts
    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.http.connections import Connections
    from airflow_provider_videodb.emulator.http.exchange import App, Receive, Scope, Send

CONTROL_PREFIX = "/_emulator"
HEALTH = "/health"
PAGE_PREFIXES = ("/pay/", "/invoices/")


class Gateway:
    """
    Refuses foreign visitors, finds the account, logs API calls and applies faults.

    Control calls bypass log and faults, so a fault can always be cleared.

    :param app: the FastAPI application.
    """

    def __init__(self, app: App, accounts: Accounts, connections: Connections) -> None:
        self._app = app
        self._accounts = accounts
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        refusal = refusal_of(scope.get("headers", ()), allowed_hosts=self._accounts.allowed_hosts)
        if scope["type"] == "http" and refusal is not None:
            await _refused(refusal)(scope, receive, send)
            return
        if scope["type"] != "http" or is_control(scope["path"]):
            await self._app(scope, receive, send)
            return
        page = is_page(scope["path"])
        known = self._of_page(scope) if page else self._accounts.with_key(Headers(scope=scope).get("x-access-token"))
        # A call without a known key belongs to the first account, whose log and faults it meets.
        state = known or self._accounts.first
        if known or not page:
            choose_account(scope, state)
        # Both under one lock. A reset in between would leave the call with a fault that nobody can clear.
        with state.lock:
            fault = state.faults.take(scope["method"], scope["path"], is_page=page)
            exchange = Exchange(
                self._app,
                state,
                self._connections,
                account=known.name if known else "",
                scope=scope,
                receive=receive,
                send=send,
            )
        if fault is None and page:
            await self._app(scope, receive, send)
        else:
            await exchange.run(fault)

    def _of_page(self, scope: Scope) -> EmulatorState | None:
        """Return the account of a page. None if the overview names an unknown one."""
        if scope["path"] != "/":
            return self._accounts.with_page(scope["path"].split("/")[2])
        try:
            return self._accounts.named(QueryParams(scope["query_string"]).get(ACCOUNT))
        except UnknownAccountError:
            return None


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
