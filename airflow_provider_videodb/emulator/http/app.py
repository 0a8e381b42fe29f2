"""The FastAPI application: all routes, and one shape for every refusal."""

# No `from __future__ import annotations` in the modules with routes: FastAPI reads the annotations at run time.

import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from airflow_provider_videodb.emulator.control import routes as control_routes
from airflow_provider_videodb.emulator.control.controls import Controls
from airflow_provider_videodb.emulator.http import billing_routes, sdk_routes
from airflow_provider_videodb.emulator.http.errors import (
    CheckoutClosedError,
    EmulatorError,
    IdempotencyConflictError,
    InsufficientCreditsError,
    InvalidValueError,
    NotFoundError,
)
from airflow_provider_videodb.emulator.http.routing import UnauthorisedError
from airflow_provider_videodb.emulator.pages import routes as checkout_pages

_REFUSALS: dict[type[EmulatorError], tuple[int, str]] = {
    InvalidValueError: (400, "invalid_request"),
    IdempotencyConflictError: (400, "idempotency_conflict"),
    CheckoutClosedError: (400, "checkout_closed"),
    UnauthorisedError: (401, "unauthorized"),
    InsufficientCreditsError: (402, "insufficient_credits"),
    NotFoundError: (404, "not_found"),
}


def create_app(controls: Controls) -> FastAPI:
    """Return the application over one emulated account; without the faults, which `Gateway` puts around it."""
    app = FastAPI(
        title="VideoDB emulator",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={EmulatorError: _refused, HTTPException: _http_error, Exception: _failed},
    )
    app.state.controls = controls
    app.state.world = controls.world
    for routes in (billing_routes, sdk_routes, checkout_pages, control_routes):
        app.include_router(routes.router)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    status, code = _REFUSALS[type(error)] if isinstance(error, EmulatorError) else (500, "internal_error")
    return _error(status, str(error), code)


async def _http_error(_: Request, error: Exception) -> Response:
    # What Starlette itself refuses: an unknown route and a wrong method.
    if not isinstance(error, HTTPException):
        return _error(500, str(error), "internal_error")
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return _error(error.status_code, str(error.detail), code, headers=error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    return _error(500, f"The emulator failed: {type(error).__name__}", "internal_error")


def _error(status: int, message: str, code: str, headers: Any = None) -> Response:
    body = {"success": False, "message": message, "error_code": code}
    return JSONResponse(body, status_code=status, headers={**(headers or {}), "x-request-id": secrets.token_hex(8)})
