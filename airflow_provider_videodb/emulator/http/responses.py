"""Whole HTTP answers: one that is held back, and those that a fault puts in its place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_videodb.emulator.faults.faults import Fault

_PAGE = b"<!doctype html><title>Maintenance</title><h1>We will be right back</h1><p>A page where JSON was expected.</p>"


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer, held back until it is known what becomes of it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def wrong_answer(fault: Fault) -> Answer:
    """Return what a fault answers in place of the truth."""
    if fault.kind == "html":
        status, kind, body = fault.status, b"text/html; charset=utf-8", _PAGE
    elif fault.kind == "redirect":
        status, kind, body = fault.status, b"text/plain; charset=utf-8", b""
    else:
        status, kind, body = fault.status, b"application/json", _error_body(fault.status)
    if fault.body is not None:
        body = fault.body.encode()
    headers = {"location": fault.location} if fault.location else {}
    headers |= fault.headers
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if not any(name == b"content-type" for name, _ in encoded):
        encoded.append((b"content-type", kind))
    return Answer(status=200 if fault.kind == "truncated" else status, headers=encoded, body=body)


def _error_body(status: int) -> bytes:
    message = f"The emulator was asked to answer {status}"
    return json.dumps({"success": False, "message": message, "error_code": "emulated_fault"}).encode()
