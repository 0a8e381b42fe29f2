"""The control calls, ``/_emulator/…``: no API key, never logged, never met by a fault. Bodies are JSON."""

# No `from __future__ import annotations`: FastAPI reads the annotations at run time.

import dataclasses
from datetime import datetime
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from airflow_provider_videodb.emulator.account.records import Checkout
from airflow_provider_videodb.emulator.control.controls import Controls
from airflow_provider_videodb.emulator.http.dialects import json_number, read_auto_recharge
from airflow_provider_videodb.emulator.http.errors import InvalidValueError
from airflow_provider_videodb.emulator.http.gateway import CONTROL_PREFIX
from airflow_provider_videodb.emulator.http.payloads import ASCIIJSONResponse, json_object
from airflow_provider_videodb.emulator.http.routing import controls_of, world_of

router = APIRouter(prefix=CONTROL_PREFIX)


@router.get("/state")
async def state(request: Request) -> Response:
    """Answer everything but the calls."""
    return _json(_state(controls_of(request)))


@router.get("/calls")
async def calls(request: Request) -> Response:
    """Answer the logged calls, oldest first; ``method``, ``path`` and ``accepted`` filter them."""
    query = request.query_params
    found = controls_of(request).calls(
        query.get("method"), query.get("path"), accepted=_tristate(query.get("accepted"))
    )
    return _json({"calls": [{**dataclasses.asdict(call), "accepted": call.accepted} for call in found]})


@router.delete("/calls")
async def clear_calls(request: Request) -> Response:
    """Forget the logged calls."""
    controls_of(request).clear_calls()
    return _json({})


@router.get("/faults")
async def faults(request: Request) -> Response:
    """Answer the faults in force."""
    return _json({"faults": controls_of(request).faults()})


@router.post("/faults")
async def add_fault(request: Request) -> Response:
    """Make calls fail; the fields are those of `Fault`."""
    fields = await json_object(request)
    world = world_of(request)
    with world.lock:
        return _json({"fault": world.faults.add(fields)})


@router.delete("/faults")
async def clear_faults(request: Request) -> Response:
    """Take all faults down."""
    controls_of(request).clear_faults()
    return _json({})


@router.delete("/faults/{fault_id}")
async def remove_fault(request: Request, fault_id: str) -> Response:
    """Take one fault down."""
    controls_of(request).remove_fault(fault_id)
    return _json({})


@router.post("/advance")
async def advance(request: Request) -> Response:
    """Move emulator time forward by ``seconds``."""
    return _json({"now": controls_of(request).advance(_field(await json_object(request), "seconds"))})


@router.post("/balance")
async def set_balance(request: Request) -> Response:
    """Bring the credit balance to ``credits``."""
    controls = controls_of(request)
    controls.set_balance(_field(await json_object(request), "credits"))
    return _json({"balance": controls.balance})


@router.post("/charge")
async def charge(request: Request) -> Response:
    """Use ``credits`` up, for an optional ``operation``."""
    payload = await json_object(request)
    controls = controls_of(request)
    controls.charge(_field(payload, "credits"), payload.get("operation", "other"))
    return _json({"balance": controls.balance})


@router.post("/settings")
async def change_settings(request: Request) -> Response:
    """Change some of the settings."""
    changes = await json_object(request)
    world = world_of(request)
    with world.lock:
        world.change_settings(world.settings.changed(changes))
        return _json({"settings": world.settings.public()})


@router.post("/auto_recharge")
async def set_auto_recharge(request: Request) -> Response:
    """Change some of ``enabled``, ``threshold``, ``amount``, as the API call does but without a key."""
    changes = read_auto_recharge(await json_object(request))
    return _json({"auto_recharge": controls_of(request).set_auto_recharge(**changes)})


@router.post("/checkouts/{checkout_id}/pay")
async def pay(request: Request, checkout_id: str) -> Response:
    """Pay a checkout."""
    controls = controls_of(request)
    return _json({"checkout": _checkout(controls, controls.pay(checkout_id)), "balance": controls.balance})


@router.post("/checkouts/{checkout_id}/expire")
async def expire(request: Request, checkout_id: str) -> Response:
    """Let the time of a pending checkout pass, for it alone."""
    controls = controls_of(request)
    return _json({"checkout": _checkout(controls, controls.expire(checkout_id))})


@router.post("/checkouts/{checkout_id}/show_as")
async def show_checkout_as(request: Request, checkout_id: str) -> Response:
    """Let the list show a checkout with other ``fields``, for ``times`` reads (null: until cleared) after ``skip``."""
    payload = await json_object(request)
    fields = _field(payload, "fields")
    if not isinstance(fields, dict):
        raise InvalidValueError("fields must be an object")
    world = world_of(request)
    with world.lock:
        world.ledger.checkout(checkout_id)
        world.list_faults.show_as(checkout_id, _plain(fields), **_reads(payload))
    return _json({})


@router.post("/checkouts/{checkout_id}/hide")
async def hide_checkout(request: Request, checkout_id: str) -> Response:
    """Let the list forget a checkout, for ``times`` reads (null: until cleared) after ``skip``."""
    controls_of(request).hide_checkout(checkout_id, **_reads(await json_object(request)))
    return _json({})


@router.post("/foreign_checkouts")
async def add_foreign_checkout(request: Request) -> Response:
    """Put the body into the list as an entry that no checkout stands behind."""
    entry = _plain(await json_object(request))
    world = world_of(request)
    with world.lock:
        world.list_faults.add_foreign(entry)
    return _json({})


@router.delete("/list_faults")
async def clear_list_faults(request: Request) -> Response:
    """Let the list show the truth again."""
    controls_of(request).clear_list_faults()
    return _json({})


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Return to the state right after the start."""
    controls = controls_of(request)
    controls.reset()
    return _json(_state(controls))


def _state(controls: Controls) -> dict[str, Any]:
    with controls.world.lock:
        return {
            "now": controls.now(),
            "clock_offset": controls.world.clock.offset,
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


def _tristate(value: str | None) -> bool | None:
    if value not in (None, "true", "false"):
        raise InvalidValueError(f"accepted must be true or false, got {value!r}")
    return None if value is None else value == "true"


def _json(value: dict[str, Any]) -> Response:
    return ASCIIJSONResponse({"success": True, **_plain(value)})


def _plain(value: Any) -> Any:
    """Return `value` with exact figures as numbers, moments as ISO 8601 and records as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return json_number(value)
    return value.isoformat() if isinstance(value, datetime) else value
