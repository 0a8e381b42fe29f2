"""
Brings the credits page into Airflow's UI.

Every process of Airflow imports this module, so it imports nothing else of this package. Only the API server gets
requests, and the first one of them builds the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.configuration import conf

try:
    from airflow.sdk.plugins_manager import AirflowPlugin
except ImportError:  # Airflow 3.1
    from airflow.plugins_manager import AirflowPlugin  # type: ignore[assignment]  # mypy knows a newer one

if TYPE_CHECKING:
    from fastapi import FastAPI

_PREFIX = "/videodb"
#: Airflow 3.1 cannot import a relative address, so it has the path under which Airflow is served.
_ROOT = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/") + _PREFIX


class LazyApp:
    """An ASGI application, built at its first request."""

    def __init__(self) -> None:
        self._app: FastAPI | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if self._app is None:
            from airflow_provider_videodb.web.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


class VideoDBPlugin(AirflowPlugin):
    """The plugin that the entry point ``airflow.plugins`` names."""

    name = "videodb"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": _PREFIX, "name": "VideoDB"}]  # noqa: RUF012 - as Airflow's own
    react_apps = [  # noqa: RUF012 - as Airflow's own
        {
            "name": "VideoDB",
            "bundle_url": f"{_ROOT}/static/credits.js",
            "destination": "nav",
            "url_route": "videodb",
            "icon": f"{_ROOT}/static/videodb.svg",
        }
    ]
