"""What every route needs: the account, and the check of the API key."""

# FastAPI evaluates annotations at run time, so the modules with routes do without postponed evaluation.

from collections.abc import MutableMapping
from typing import Any

from fastapi import Request

from airflow_provider_videodb.emulator.account.accounts import Accounts
from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.errors import UnauthorisedError

#: The query parameter of a control call or of the overview that names an account.
ACCOUNT = "account"
_CHOSEN = "videodb_emulator.account"


def accounts_of(request: Request) -> Accounts:
    """Return the accounts of the emulator that serves a request."""
    accounts: Accounts = request.app.state.accounts
    return accounts


def state_of(request: Request) -> EmulatorState:
    """
    Return the account of a request: the chosen one, or the one that the query names.

    :raises UnknownAccountError: the query names no account.
    """
    chosen: EmulatorState | None = request.scope.get(_CHOSEN)
    return accounts_of(request).named(request.query_params.get(ACCOUNT)) if chosen is None else chosen


def choose_account(scope: MutableMapping[str, Any], state: EmulatorState) -> None:
    """Serve a request from this account."""
    scope[_CHOSEN] = state


async def require_key(request: Request) -> None:
    """Refuse a request without a known `x-access-token`."""
    given = request.headers.get("x-access-token")
    if given is None:
        raise UnauthorisedError("The header x-access-token is missing")
    # The gateway has chosen the first account if it knows no account with this key.
    if accounts_of(request).with_key(given) is not state_of(request):
        raise UnauthorisedError("Invalid API key")
