"""Serves the credits page and the confirmation page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.core_api.security import get_user, requires_access_connection
from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from airflow_provider_videodb.web.access import Viewer
from airflow_provider_videodb.web.account import AccountPage, list_accounts
from airflow_provider_videodb.web.reader import Reader

if TYPE_CHECKING:
    import os

_STATIC = Path(__file__).parent / "static"


class _Files(StaticFiles):
    """
    Files that a browser must not reuse unchecked.

    Otherwise, it would run those of an earlier version.
    """

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Add the header."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Find no file at a path that no file can have. The Starlette of Airflow 3.1 raises an error, so a 500."""
        try:
            return super().lookup_path(path)
        except ValueError:
            return "", None


#: The confirmation page has no scripts, and no other site may frame it.
_PAID_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def create_app() -> FastAPI:
    """
    Return the application.

    Every route asks Airflow who the viewer is, except the files and the confirmation page. No route changes anything.
    """
    # Airflow does not protect the application of a plugin, so its own pages of documentation would be public.
    app = FastAPI(title="VideoDB", docs_url=None, redoc_url=None, openapi_url=None)
    reader = Reader()

    @app.get("/paid", response_class=FileResponse)
    def paid() -> FileResponse:
        return FileResponse(_STATIC / "paid.html", media_type="text/html", headers=_PAID_HEADERS)

    # Plain functions run in threads, because they read Airflow's database.
    @app.get("/api/connections")
    def connections(response: Response, user: object = Depends(get_user)) -> dict[str, object]:
        response.headers["Cache-Control"] = "no-store"
        return list_accounts(Viewer(user))

    @app.get("/api/connections/{connection_id}", dependencies=[Depends(requires_access_connection("GET"))])
    def connection(connection_id: str, response: Response, user: object = Depends(get_user)) -> dict[str, object]:
        response.headers["Cache-Control"] = "no-store"
        return AccountPage(connection_id, Viewer(user), reader).to_dict()

    app.mount("/static", _Files(directory=_STATIC), name="static")
    return app
