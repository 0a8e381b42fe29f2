"""The list of all calls, read from the routes."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from airflow_provider_videodb.emulator.http.gateway import CONTROL_PREFIX, is_control, is_page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute

_API = "They need the header x-access-token with the API key that the emulator printed."
_CONTROL = (
    "They need no key and take JSON. The log of calls leaves them out, and faults do not affect them. "
    "With several accounts, ?account=NAME chooses one. Without it they mean the first."
)


@dataclass(frozen=True)
class ListedCall:
    """One call, with the first line of its docstring."""

    method: str
    path: str
    text: str

    @property
    def parts(self) -> list[str]:
        """The text in parts. Every second one is the name of a field."""
        return re.split(r"`+(\w+)`+", self.text)


CallGroup = tuple[str, str, list[ListedCall]]


def call_groups(routes: Iterable[BaseRoute]) -> list[CallGroup]:
    """Return the calls of VideoDB and those of the control API."""
    listed = [
        ListedCall(method, route.path, (inspect.getdoc(route.endpoint) or "").partition("\n")[0])
        for route in routes
        if isinstance(route, APIRoute) and _is_listed(route.path)
        for method in sorted(route.methods)
    ]
    return [
        ("VideoDB's calls", _API, [call for call in listed if not is_control(call.path)]),
        ("The control API", _CONTROL, [call for call in listed if is_control(call.path)]),
    ]


def _is_listed(path: str) -> bool:
    # The paths with a slash at the end do the same as those without, and the overview's forms call the control API.
    return not (is_page(path) or path.endswith("/") or path.startswith(f"{CONTROL_PREFIX}/page/"))
