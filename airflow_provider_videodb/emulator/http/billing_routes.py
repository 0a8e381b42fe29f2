"""VideoDB's billing calls."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from airflow_provider_videodb.emulator.account.records import Checkout, Order
from airflow_provider_videodb.emulator.account.state import EmulatorState
from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.http.access import require_key, state_of
from airflow_provider_videodb.emulator.http.dialects import (
    DIALECTS,
    OpenApiDialect,
    SampleDialect,
    listed,
    read_auto_recharge,
    read_checkout,
    read_topup,
)
from airflow_provider_videodb.emulator.http.payloads import ASCIIJSONResponse, json_object, query_whole

PAGE_SIZE = 20
LARGEST_PAGE = 100
LARGEST_OFFSET = 1_000_000
LONGEST_KEY = 255

router = APIRouter(prefix="/billing", dependencies=[Depends(require_key)])


@router.get("/usage")
async def usage(request: Request) -> Response:
    """Return the balance and the usage."""
    state = state_of(request)
    with state.lock:
        return ASCIIJSONResponse(_dialect(state).usage(state.ledger.usage()))


@router.post("/topup")
async def topup(request: Request) -> Response:
    """Order a top-up and return its link."""
    order = read_topup(await json_object(request))
    state = state_of(request)
    with state.lock:
        checkout = _open(request, state, order)
        return ASCIIJSONResponse(_dialect(state).topup(checkout, _link(state, checkout)))


@router.post("/checkout")
async def checkout(request: Request) -> Response:
    """Order a checkout and return its link."""
    order = read_checkout(await json_object(request))
    state = state_of(request)
    with state.lock:
        opened = _open(request, state, order)
        return ASCIIJSONResponse(_dialect(state).checkout(opened, _link(state, opened)))


@router.get("/checkouts")
async def checkouts(request: Request) -> Response:
    """Return one page of the checkouts, newest first."""
    start, end = _page(request)
    state = state_of(request)
    with state.lock:
        if start == 0:
            state.list_faults.begin_read()
        entries = state.list_faults.apply([listed(checkout) for checkout in state.ledger.listed_checkouts()])
        return ASCIIJSONResponse(_dialect(state).checkouts(entries[start:end]))


@router.get("/invoices")
async def invoices(request: Request) -> Response:
    """Return one page of the invoices, newest first."""
    start, end = _page(request)
    state = state_of(request)
    with state.lock:
        return ASCIIJSONResponse(_dialect(state).invoices(state.ledger.invoices()[start:end], state.base_url))


@router.get("/auto_recharge")
async def auto_recharge(request: Request) -> Response:
    """Return the auto-recharge settings."""
    state = state_of(request)
    with state.lock:
        return ASCIIJSONResponse(_dialect(state).auto_recharge(state.ledger.auto_recharge()))


@router.post("/auto_recharge")
async def change_auto_recharge(request: Request) -> Response:
    """Change the given auto-recharge settings."""
    changes = read_auto_recharge(await json_object(request))
    state = state_of(request)
    with state.lock:
        return ASCIIJSONResponse(_dialect(state).auto_recharge_changed(state.ledger.set_auto_recharge(**changes)))


def _dialect(state: EmulatorState) -> OpenApiDialect | SampleDialect:
    return DIALECTS[state.settings.dialect]


def _link(state: EmulatorState, checkout: Checkout) -> str:
    return f"{state.base_url}/pay/{checkout.id}"


def _open(request: Request, state: EmulatorState, order: Order) -> Checkout:
    key = request.headers.get("idempotency-key") or None
    if key is not None and len(key) > LONGEST_KEY:
        raise InvalidValueError(f"Idempotency-Key must have at most {LONGEST_KEY} characters")
    return state.ledger.open_checkout(order, key)


def _page(request: Request) -> tuple[int, int]:
    limit = query_whole(request, "limit", default=PAGE_SIZE, at_least=1, at_most=LARGEST_PAGE)
    offset = query_whole(request, "offset", default=0, at_least=0, at_most=LARGEST_OFFSET)
    return offset, offset + limit
