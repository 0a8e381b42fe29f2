"""
The control API at ``/_emulator/…``, for tests in another process.

Its calls take JSON and need no API key. They are not logged, and faults do not affect them. ``?account=NAME`` chooses
an account. Without it they mean the first one.
"""

import dataclasses
from datetime import datetime
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from airflow_provider_videodb import __version__
from airflow_provider_videodb.emulator.account.records import Checkout
from airflow_provider_videodb.emulator.control.controls import Controls
from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.http.access import accounts_of, state_of
from airflow_provider_videodb.emulator.http.dialects import json_number
from airflow_provider_videodb.emulator.http.gateway import CONTROL_PREFIX, HEALTH
from airflow_provider_videodb.emulator.http.payloads import ASCIIJSONResponse, json_object

router = APIRouter(prefix=CONTROL_PREFIX)
health_router = APIRouter()


@health_router.get(HEALTH)
async def health(request: Request) -> Response:
    """Say that the emulator runs, and its version."""
    return _json({"status": "ok", "version": __version__, "now": _controls(request).now()})


@router.get("/accounts")
async def accounts(request: Request) -> Response:
    """Return the name and the balance of each account."""
    found = [Controls(state) for state in accounts_of(request)]
    return _json({"accounts": [{"name": each.state.name, "balance": each.balance} for each in found]})


@router.get("/state")
async def state(request: Request) -> Response:
    """Return everything except the logged calls."""
    return _json(_state(_controls(request)))


@router.get("/calls")
async def calls(request: Request) -> Response:
    """Return the logged calls, filtered by method, path and accepted."""
    query = request.query_params
    found = _controls(request).calls(
        query.get("method"), query.get("path"), accepted=_optional_boolean(query.get("accepted"))
    )
    return _json({"calls": [{**dataclasses.asdict(call), "accepted": call.accepted} for call in found]})


@router.get("/callbacks")
async def callbacks(request: Request) -> Response:
    """Return the callbacks that were sent or failed."""
    return _json({"callbacks": _controls(request).callbacks()})


@router.delete("/calls")
async def clear_calls(request: Request) -> Response:
    """Drop the logged calls and callbacks."""
    _controls(request).clear_calls()
    return _json({})


@router.post("/faults")
async def add_fault(request: Request) -> Response:
    """Add a fault; the body has the fields of `Fault`."""
    fields = await json_object(request)
    state = state_of(request)
    with state.lock:
        return _json({"fault": state.faults.add(fields)})


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """Remove every fault."""
    _controls(request).clear_faults()
    return _json({})


@router.delete("/faults/{fault_id}")
async def remove_fault(request: Request, fault_id: str) -> Response:
    """Remove one fault."""
    _controls(request).remove_fault(fault_id)
    return _json({})


@router.post("/advance")
async def advance(request: Request) -> Response:
    """Move emulator time forward by ``seconds``."""
    return _json({"now": _controls(request).advance(_field(await json_object(request), "seconds"))})


@router.post("/balance")
async def set_balance(request: Request) -> Response:
    """Set the balance to ``credits``."""
    controls = _controls(request)
    controls.set_balance(_field(await json_object(request), "credits"))
    return _json({"balance": controls.balance})


@router.post("/charge")
async def charge(request: Request) -> Response:
    """Charge ``credits`` for an optional ``operation``."""
    payload = await json_object(request)
    controls = _controls(request)
    controls.charge(_field(payload, "credits"), payload.get("operation", "other"))
    return _json({"balance": controls.balance})


@router.post("/settings")
async def change_settings(request: Request) -> Response:
    """Change some settings."""
    changes = await json_object(request)
    state = state_of(request)
    with state.lock:
        return _json({"settings": state.change_settings(changes).public()})


@router.post("/checkouts/{checkout_id}/pay")
async def pay(request: Request, checkout_id: str) -> Response:
    """Pay a checkout."""
    controls = _controls(request)
    return _json({"checkout": _checkout(controls, controls.pay(checkout_id)), "balance": controls.balance})


@router.post("/checkouts/{checkout_id}/expire")
async def expire(request: Request, checkout_id: str) -> Response:
    """Expire one pending checkout now."""
    controls = _controls(request)
    return _json({"checkout": _checkout(controls, controls.expire(checkout_id))})


@router.post("/checkouts/{checkout_id}/show_as")
async def show_checkout_as(request: Request, checkout_id: str) -> Response:
    """Show a checkout with wrong ``fields``, for ``times`` reads after ``skip``."""
    payload = await json_object(request)
    fields = _field(payload, "fields")
    if not isinstance(fields, dict):
        raise InvalidValueError("fields must be an object")
    state = state_of(request)
    with state.lock:
        state.ledger.checkout(checkout_id)
        state.list_faults.show_as(checkout_id, _plain(fields), **_reads(payload))
    return _json({})


@router.post("/checkouts/{checkout_id}/hide")
async def hide_checkout(request: Request, checkout_id: str) -> Response:
    """Hide a checkout from the list, for ``times`` reads after ``skip``."""
    _controls(request).hide_checkout(checkout_id, **_reads(await json_object(request)))
    return _json({})


@router.post("/foreign_checkouts")
async def add_foreign_checkout(request: Request) -> Response:
    """Add the body to the list as an entry without a checkout."""
    entry = _plain(await json_object(request))
    state = state_of(request)
    with state.lock:
        state.list_faults.add_foreign(entry)
    return _json({})


@router.delete("/list_faults")
async def clear_list_faults(request: Request) -> Response:
    """Remove every fault of the list."""
    _controls(request).clear_list_faults()
    return _json({})


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Return to the state after the start."""
    controls = _controls(request)
    controls.reset()
    return _json(_state(controls))


def _controls(request: Request) -> Controls:
    return Controls(state_of(request))


def _state(controls: Controls) -> dict[str, Any]:
    with controls.state.lock:
        return {
            "account": controls.state.name,
            "now": controls.now(),
            "clock_offset": controls.state.clock.offset,
            "balance": controls.balance,
            "usage": controls.usage(),
            "checkouts": [_checkout(controls, checkout) for checkout in controls.checkouts()],
            "invoices": controls.invoices(),
            "auto_recharge": controls.auto_recharge,
            "faults": controls.faults(),
            "settings": controls.settings.public(),
        }


def _checkout(controls: Controls, checkout: Checkout) -> dict[str, Any]:
    return {
        "id": checkout.id,
        "status": checkout.status,
        "url": controls.payment_url(checkout.id),
        "credits": checkout.credits,
        "created_at": checkout.created_at,
        "expires_at": checkout.expires_at,
        "paid_at": checkout.paid_at,
        **dataclasses.asdict(checkout.order),
    }


def _field(payload: dict[str, Any], name: str) -> Any:
    if name not in payload:
        raise InvalidValueError(f"{name} is required")
    return payload[name]


def _reads(payload: dict[str, Any]) -> dict[str, Any]:
    return {"times": payload.get("times"), "skip": payload.get("skip", 0)}


def _optional_boolean(value: str | None) -> bool | None:
    if value not in (None, "true", "false"):
        raise InvalidValueError(f"accepted must be true or false, got {value!r}")
    return None if value is None else value == "true"


def _json(value: dict[str, Any]) -> Response:
    return ASCIIJSONResponse({"success": True, **_plain(value)})


def _plain(value: Any) -> Any:
    """Convert records, exact numbers and moments to plain JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return json_number(value)
    return value.isoformat() if isinstance(value, datetime) else value
