"""The HTTP responses of pages."""

from __future__ import annotations

from fastapi.responses import HTMLResponse, RedirectResponse

_SEE_OTHER = 303
_HEADERS = {
    # Browsers check form-action for the redirect after a form too, and that leads to the caller's site.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
        "form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
}


def page(content: str, *, status: int = 200) -> HTMLResponse:
    """Send a page that is neither cached nor framed."""
    return HTMLResponse(content, status_code=status, headers=_HEADERS)


def redirect(url: str) -> RedirectResponse:
    """Send the browser to a page after a form."""
    return RedirectResponse(url, status_code=_SEE_OTHER)
