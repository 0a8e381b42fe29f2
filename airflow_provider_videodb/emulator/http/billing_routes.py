"""VideoDB's seven billing calls."""

# No `from __future__ import annotations`: FastAPI reads the annotations at run time.

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from airflow_provider_videodb.emulator.account.records import Checkout, Order
from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.http.dialects import (
    DIALECTS,
    OpenApiDialect,
    SampleDialect,
    listed,
    read_auto_recharge,
    read_checkout,
    read_topup,
)
from airflow_provider_videodb.emulator.http.errors import InvalidValueError
from airflow_provider_videodb.emulator.http.payloads import ASCIIJSONResponse, json_object, query_whole
from airflow_provider_videodb.emulator.http.routing import require_key, world_of

PAGE_SIZE = 20
LARGEST_PAGE = 100
LARGEST_OFFSET = 1_000_000
LONGEST_KEY = 255

router = APIRouter(prefix="/billing", dependencies=[Depends(require_key)])


@router.get("/usage")
async def usage(request: Request) -> Response:
    """Answer what is left and what was used."""
    world = world_of(request)
    with world.lock:
        return ASCIIJSONResponse(_dialect(world).usage(world.ledger.usage()))


@router.post("/topup")
async def topup(request: Request) -> Response:
    """Make a checkout for a top-up and answer its link."""
    order = read_topup(await json_object(request))
    world = world_of(request)
    with world.lock:
        checkout = _open(request, world, order)
        return ASCIIJSONResponse(_dialect(world).topup(checkout, _link(world, checkout)))


@router.post("/checkout")
async def checkout(request: Request) -> Response:
    """Make a checkout and answer its link."""
    order = read_checkout(await json_object(request))
    world = world_of(request)
    with world.lock:
        opened = _open(request, world, order)
        return ASCIIJSONResponse(_dialect(world).checkout(opened, _link(world, opened)))


@router.get("/checkouts")
async def checkouts(request: Request) -> Response:
    """Answer a page of the checkouts, newest first, without their links."""
    start, end = _page(request)
    world = world_of(request)
    with world.lock:
        if start == 0:
            world.list_faults.begin_read()
        entries = world.list_faults.apply([listed(checkout) for checkout in world.ledger.listed_checkouts()])
        return ASCIIJSONResponse(_dialect(world).checkouts(entries[start:end]))


@router.get("/invoices")
async def invoices(request: Request) -> Response:
    """Answer a page of the invoices, newest first."""
    start, end = _page(request)
    world = world_of(request)
    with world.lock:
        return ASCIIJSONResponse(_dialect(world).invoices(world.ledger.invoices()[start:end], world.base_url))


@router.get("/auto_recharge")
async def auto_recharge(request: Request) -> Response:
    """Answer the auto-recharge settings."""
    world = world_of(request)
    with world.lock:
        return ASCIIJSONResponse(_dialect(world).auto_recharge(world.ledger.auto_recharge()))


@router.post("/auto_recharge")
async def change_auto_recharge(request: Request) -> Response:
    """Change the auto-recharge settings that are given and keep the others."""
    changes = read_auto_recharge(await json_object(request))
    world = world_of(request)
    with world.lock:
        return ASCIIJSONResponse(_dialect(world).auto_recharge_changed(world.ledger.set_auto_recharge(**changes)))


def _dialect(world: EmulatorState) -> OpenApiDialect | SampleDialect:
    return DIALECTS[world.settings.dialect]


def _link(world: EmulatorState, checkout: Checkout) -> str:
    return f"{world.base_url}/pay/{checkout.id}"


def _open(request: Request, world: EmulatorState, order: Order) -> Checkout:
    key = request.headers.get("idempotency-key") or None
    if key is not None and len(key) > LONGEST_KEY:
        raise InvalidValueError(f"Idempotency-Key must have at most {LONGEST_KEY} characters")
    return world.ledger.open_checkout(order, key)


def _page(request: Request) -> tuple[int, int]:
    limit = query_whole(request, "limit", default=PAGE_SIZE, at_least=1, at_most=LARGEST_PAGE)
    offset = query_whole(request, "offset", default=0, at_least=0, at_most=LARGEST_OFFSET)
    return offset, offset + limit
