"""What every route needs: the state, and the check of the API key."""

# FastAPI evaluates annotations at run time, so the modules with routes do without postponed evaluation.

import secrets

from fastapi import Request

from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.errors import UnauthorisedError


def state_of(request: Request) -> EmulatorState:
    """Return the state of the emulator that serves a request."""
    state: EmulatorState = request.app.state.emulator
    return state


async def require_key(request: Request) -> None:
    """Refuse a request without the right `x-access-token`."""
    given = request.headers.get("x-access-token")
    if given is None:
        raise UnauthorisedError("The header x-access-token is missing")
    if not secrets.compare_digest(given.encode(), state_of(request).settings.api_key.encode()):
        raise UnauthorisedError("Invalid API key")
