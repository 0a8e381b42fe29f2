"""What a person sees: the overview, and the pages on which a checkout is paid."""

# No `from __future__ import annotations`: FastAPI reads the annotations at run time.

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from airflow_provider_videodb.emulator.account.records import Checkout
from airflow_provider_videodb.emulator.http.errors import CheckoutClosedError, NotFoundError
from airflow_provider_videodb.emulator.http.routing import world_of
from airflow_provider_videodb.emulator.pages import checkout as checkout_views
from airflow_provider_videodb.emulator.pages import overview
from airflow_provider_videodb.emulator.pages.html import CONTENT_SECURITY_POLICY

_SEE_OTHER = 303
_GONE = 410

router = APIRouter()


@router.get("/")
async def index(request: Request) -> Response:
    """Show the account, what can be paid, and the last calls."""
    world = world_of(request)
    with world.lock:
        return _html(overview.show(world))


@router.get("/pay/{checkout_id}")
async def checkout(request: Request, checkout_id: str) -> Response:
    """Show a checkout, with its two buttons while it can be paid."""
    found = _find(request, checkout_id)
    if isinstance(found, Response):
        return found
    return _shown(request, found)


@router.post("/pay/{checkout_id}")
async def pay(request: Request, checkout_id: str) -> Response:
    """Pay, and go where the caller wanted the browser to go."""
    world = world_of(request)
    try:
        with world.lock:
            paid = world.ledger.pay(checkout_id)
    except NotFoundError:
        return _html(checkout_views.unknown(), status=404)
    except CheckoutClosedError:
        return await checkout(request, checkout_id)
    return _see(paid.order.success_url or f"/pay/{paid.id}")


@router.post("/pay/{checkout_id}/cancel")
async def cancel(request: Request, checkout_id: str) -> Response:
    """Leave without paying: the API has no call to cancel a checkout, so it stays as it is."""
    found = _find(request, checkout_id)
    if isinstance(found, Response):
        return found
    return _see(found.order.cancel_url or f"/pay/{found.id}/cancelled")


@router.get("/pay/{checkout_id}/cancelled")
async def cancelled(request: Request, checkout_id: str) -> Response:
    """Say what leaving means."""
    found = _find(request, checkout_id)
    if isinstance(found, Response):
        return found
    return _html(checkout_views.cancelled(found)) if found.status == "pending" else _shown(request, found)


@router.get("/invoices/{invoice_id}")
async def invoice(request: Request, invoice_id: str) -> Response:
    """Show an invoice, where VideoDB would have a PDF."""
    world = world_of(request)
    with world.lock:
        for found in world.ledger.invoices():
            if found.id == invoice_id:
                return _html(checkout_views.invoice(found))
    return _html(checkout_views.unknown(), status=404)


@router.post("/uploads/{upload_id}")
async def receive_upload(request: Request) -> Response:
    """Take a local file that the SDK sends to its upload URL, and throw it away."""
    async for _ in request.stream():
        pass
    return Response(status_code=204)


def _find(request: Request, checkout_id: str) -> Checkout | Response:
    world = world_of(request)
    try:
        with world.lock:
            return world.ledger.checkout(checkout_id)
    except NotFoundError:
        return _html(checkout_views.unknown(), status=404)


def _shown(request: Request, found: Checkout) -> Response:
    world = world_of(request)
    with world.lock:
        now = world.clock.now()
    match found.status:
        case "completed":
            return _html(checkout_views.paid(found))
        case "expired":
            return _html(checkout_views.expired(found), status=_GONE)
        case "pending":
            return _html(checkout_views.pending(found, now))


def _html(content: str, *, status: int = 200) -> Response:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(content, status_code=status, headers=headers)


def _see(url: str) -> Response:
    return RedirectResponse(url, status_code=_SEE_OTHER)
