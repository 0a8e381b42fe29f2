"""
The buttons of the overview.

A form sends its fields without a script. The addresses belong to the control API, so no fault and no log entry meets
them.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from airflow_provider_videodb.emulator.control.controls import Controls
from airflow_provider_videodb.emulator.errors import EmulatorError
from airflow_provider_videodb.emulator.http.access import accounts_of, state_of
from airflow_provider_videodb.emulator.http.gateway import CONTROL_PREFIX
from airflow_provider_videodb.emulator.pages import views
from airflow_provider_videodb.emulator.pages.call_list import call_groups
from airflow_provider_videodb.emulator.pages.replies import page, redirect

_LARGEST_FORM = 10_000

router = APIRouter(prefix=CONTROL_PREFIX)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Show every call of the emulator."""
    return page(views.calls_list(accounts_of(request).base_url, call_groups(request.app.routes)))


@router.get("/page/refresh.js")
async def script() -> Response:
    """Return the script that refreshes the overview."""
    return FileResponse(Path(__file__).with_name("refresh.js"), media_type="text/javascript")


@router.post("/page/pay/{checkout_id}")
async def pay(request: Request, checkout_id: str) -> Response:
    """Pay a checkout."""
    return _after(request, lambda controls: controls.pay(checkout_id))


@router.post("/page/expire/{checkout_id}")
async def expire(request: Request, checkout_id: str) -> Response:
    """Expire a checkout."""
    return _after(request, lambda controls: controls.expire(checkout_id))


@router.post("/page/balance")
async def balance(request: Request) -> Response:
    """Set the balance."""
    fields = await _form(request)
    return _after(request, lambda controls: controls.set_balance(fields.get("credits", "")))


@router.post("/page/advance")
async def advance(request: Request) -> Response:
    """Move the clock forward."""
    fields = await _form(request)
    return _after(request, lambda controls: controls.advance(fields.get("seconds", "")))


@router.post("/page/faults")
async def add_fault(request: Request) -> Response:
    """Add a fault."""
    fields: dict[str, object] = {name: value for name, value in (await _form(request)).items() if value}
    for name in ("status", "times"):
        text = str(fields.get(name, ""))
        if text.isascii() and text.isdigit():
            fields[name] = int(text)

    def add(controls: Controls) -> object:
        return controls.state.faults.add(fields)

    return _after(request, add)


@router.post("/page/faults/{fault_id}/remove")
async def remove_fault(request: Request, fault_id: str) -> Response:
    """Clear a fault."""
    return _after(request, lambda controls: controls.remove_fault(fault_id))


@router.post("/page/reset")
async def reset(request: Request) -> Response:
    """Return to the state after the start."""
    return _after(request, lambda controls: controls.reset())


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    if len(body) > _LARGEST_FORM:
        return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _after(request: Request, act: Callable[[Controls], object]) -> Response:
    """Act, then show the overview or the refusal."""
    state = state_of(request)
    with state.lock:
        try:
            act(Controls(state))
        except EmulatorError as error:
            text = f"{error}. Nothing was changed. Next step: {error.next_step}."
            return page(views.overview(state, problem=text), status=400)
    return redirect(f"/{views.overview_query(state)}")
