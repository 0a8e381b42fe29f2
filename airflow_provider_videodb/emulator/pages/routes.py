"""The addresses of the pages for a person."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from airflow_provider_videodb.emulator.account.records import Checkout
from airflow_provider_videodb.emulator.errors import CheckoutClosedError, NotFoundError, UnknownAccountError
from airflow_provider_videodb.emulator.http.access import state_of
from airflow_provider_videodb.emulator.pages import views
from airflow_provider_videodb.emulator.pages.replies import page, redirect

_GONE = 410

router = APIRouter()


@router.get("/")
async def index(request: Request) -> Response:
    """Show an account and its last calls; ``?polls=1`` shows polls too."""
    try:
        state = state_of(request)
    except UnknownAccountError:
        return _unknown()
    with state.lock:
        return page(views.overview(state, polls=request.query_params.get("polls") == "1"))


@router.get("/pay/{checkout_id}")
async def checkout(request: Request, checkout_id: str) -> Response:
    """Show a checkout."""
    return _checkout(request, checkout_id)


@router.post("/pay/{checkout_id}")
async def pay(request: Request, checkout_id: str) -> Response:
    """Pay a checkout and redirect to its success URL."""
    state = state_of(request)
    try:
        with state.lock:
            paid = state.ledger.pay(checkout_id)
    except (NotFoundError, CheckoutClosedError):
        return _checkout(request, checkout_id)
    return redirect(paid.order.success_url or f"/pay/{paid.id}")


@router.post("/pay/{checkout_id}/cancel")
async def cancel(request: Request, checkout_id: str) -> Response:
    """Leave without paying. The checkout stays payable."""
    found = _find(request, checkout_id)
    if found is None:
        return _unknown()
    return redirect(found.order.cancel_url or f"/pay/{found.id}/cancelled")


@router.get("/pay/{checkout_id}/cancelled")
async def cancelled(request: Request, checkout_id: str) -> Response:
    """Explain that the checkout stays payable."""
    return _checkout(request, checkout_id, cancelled=True)


@router.get("/invoices/{invoice_id}")
async def invoice(request: Request, invoice_id: str) -> Response:
    """Show an invoice, for which VideoDB has a PDF."""
    state = state_of(request)
    with state.lock:
        found = [invoice for invoice in state.ledger.invoices() if invoice.id == invoice_id]
    return page(views.invoice(found[0], state)) if found else _unknown()


def _find(request: Request, checkout_id: str) -> Checkout | None:
    state = state_of(request)
    try:
        with state.lock:
            return state.ledger.checkout(checkout_id)
    except NotFoundError:
        return None


def _checkout(request: Request, checkout_id: str, *, cancelled: bool = False) -> Response:
    found = _find(request, checkout_id)
    if found is None:
        return _unknown()
    state = state_of(request)
    with state.lock:
        content = views.checkout(found, state, cancelled=cancelled and found.status == "pending")
    return page(content, status=_GONE if found.status == "expired" else 200)


def _unknown() -> Response:
    return page(views.unknown(), status=404)
