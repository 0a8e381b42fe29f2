"""The FastAPI application, with one error shape for all routes."""

import secrets
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from airflow_provider_videodb.emulator.account.accounts import Accounts
from airflow_provider_videodb.emulator.errors import (
    CheckoutClosedError,
    EmulatorError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidValueError,
    NotFoundError,
    UnauthorisedError,
    UnknownAccountError,
)
from airflow_provider_videodb.emulator.http.gateway import is_control

_REFUSALS: dict[type[EmulatorError], tuple[int, str]] = {
    InvalidValueError: (400, "invalid_request"),
    IdempotencyConflictError: (400, "idempotency_conflict"),
    CheckoutClosedError: (400, "checkout_closed"),
    UnauthorisedError: (401, "unauthorized"),
    InsufficientCreditsError: (402, "insufficient_credits"),
    NotFoundError: (404, "not_found"),
    UnknownAccountError: (404, "not_found"),
}
_HTTP_ERRORS = {404: "not_found", 405: "method_not_allowed"}


def create_app(accounts: Accounts, routers: Iterable[APIRouter]) -> FastAPI:
    """Return the application without faults, which `Gateway` adds."""
    app = FastAPI(
        title="VideoDB emulator",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={EmulatorError: _refused, HTTPException: _http_error, Exception: _failed},
    )
    app.state.accounts = accounts
    for router in routers:
        app.include_router(router)
    return app


async def _refused(request: Request, error: Any) -> Response:
    status, code = _REFUSALS[type(error)]
    message = f"{error}. Nothing was changed. Next step: {error.next_step}." if is_control(request.url.path) else error
    return _error(status, str(message), code)


async def _http_error(_: Request, error: Any) -> Response:
    # Starlette raises these for an unknown route and for a wrong method.
    code = _HTTP_ERRORS.get(error.status_code, "http_error")
    return _error(error.status_code, str(error.detail), code, headers=error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    return _error(500, f"The emulator failed: {type(error).__name__}", "internal_error")


def _error(status: int, message: str, code: str, headers: Any = None) -> Response:
    body = {"success": False, "message": message, "error_code": code}
    return JSONResponse(body, status_code=status, headers={**(headers or {}), "x-request-id": secrets.token_hex(8)})
