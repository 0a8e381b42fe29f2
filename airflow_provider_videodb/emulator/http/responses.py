"""Complete HTTP responses, and those that a fault substitutes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.faults.call_faults import Fault

_PAGE = b"<!doctype html><title>Maintenance</title><h1>We will be right back</h1><p>A page where JSON was expected.</p>"


@dataclass(frozen=True)
class CompleteResponse:
    """A response that the gateway may still replace or drop."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def fault_response(fault: Fault) -> CompleteResponse:
    """Return the response that a fault sends."""
    if fault.kind == "html":
        kind, body = b"text/html; charset=utf-8", _PAGE
    elif fault.kind == "redirect":
        kind, body = b"text/plain; charset=utf-8", b""
    else:
        kind, body = b"application/json", _error_body(fault.status)
    if fault.body is not None:
        body = fault.body.encode()
    headers = {"location": fault.location} if fault.location else {}
    headers |= fault.headers
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if not any(name == b"content-type" for name, _ in encoded):
        encoded.append((b"content-type", kind))
    return CompleteResponse(status=200 if fault.kind == "truncated" else fault.status, headers=encoded, body=body)


def _error_body(status: int) -> bytes:
    message = f"A fault of the emulator responds with {status}"
    return json.dumps({"success": False, "message": message, "error_code": "emulated_fault"}).encode()
