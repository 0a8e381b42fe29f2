"""What all routes share: how they reach the emulated account, and who is let in."""

# No `from __future__ import annotations`: FastAPI reads the annotations of `require_key` at run time.

import secrets

from fastapi import Request

from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.control.controls import Controls
from airflow_provider_videodb.emulator.http.errors import EmulatorError


class UnauthorisedError(EmulatorError):
    """The API key is missing or not the one."""


def world_of(request: Request) -> EmulatorState:
    """Return the account a request is for."""
    world: EmulatorState = request.app.state.world
    return world


def controls_of(request: Request) -> Controls:
    """Return the controls of the account a request is for."""
    controls: Controls = request.app.state.controls
    return controls


async def require_key(request: Request) -> None:
    """Let a request in only with the right `x-access-token`."""
    given = request.headers.get("x-access-token")
    if given is None:
        raise UnauthorisedError("The header x-access-token is missing")
    if not secrets.compare_digest(given.encode(), world_of(request).settings.api_key.encode()):
        raise UnauthorisedError("Invalid API key")
