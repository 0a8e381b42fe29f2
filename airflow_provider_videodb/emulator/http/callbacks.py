"""
Sends the callbacks of jobs.

VideoDB documents no body for them. The emulator sends what ``GET /async-response/{id}`` returns at that moment, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_videodb.emulator.account.calls import Callback
from airflow_provider_videodb.emulator.errors import InvalidValueError
from airflow_provider_videodb.emulator.http.job_results import async_response
from airflow_provider_videodb.emulator.values import describe, url_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_videodb.emulator.account.accounts import Accounts
    from airflow_provider_videodb.emulator.account.jobs import Job
    from airflow_provider_videodb.emulator.account.state import EmulatorState

TIMEOUT = 10


def check_callback_url(value: object, *, allowed_hosts: Collection[str]) -> str:
    """
    Return a URL that the emulator may call.

    Its host is this machine or a named one.
    """
    url = url_of("callback_url", value)
    try:
        parts = urlsplit(url)
        host, usable = (parts.hostname or "").lower(), parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidValueError(f"callback_url must have a port from 1 to 65535, got {describe(url)}")
    if not (_is_loopback(host) or host in allowed_hosts):
        raise InvalidValueError(
            "callback_url must lead to 127.0.0.1, localhost or a host of the setting callback_hosts, "
            f"got {describe(url)}"
        )
    return url


class Callbacks:
    """Sends each callback once, when its job ends."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send callbacks until the task is cancelled."""
        try:
            with self._accounts.wakeups.subscribe() as event:
                while True:
                    event.clear()
                    self._send_due()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(event.wait(), self._pause())
        finally:
            for task in self._running:
                task.cancel()

    def _send_due(self) -> None:
        with self._accounts.lock:
            for state in self._accounts:
                for job in state.jobs.take_due_callbacks():
                    task = asyncio.create_task(self._send(state, job, json.dumps(async_response(state.jobs, job))))
                    # asyncio keeps only a weak reference to a task.
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)

    def _pause(self) -> float | None:
        with self._accounts.lock:
            pauses = [
                (ends_at - state.clock.now()).total_seconds()
                for state in self._accounts
                if (ends_at := state.jobs.next_callback_at()) is not None
            ]
        return max(0, min(pauses)) if pauses else None

    async def _send(self, state: EmulatorState, job: Job, body: str) -> None:
        calls, status, failure = state.calls, None, ""
        try:
            async with asyncio.timeout(TIMEOUT):
                status = await _post(job.callback_url, body.encode())
        except TimeoutError:
            failure = f"no response in {TIMEOUT} s"
        except OSError as error:
            failure = error.strerror or type(error).__name__
        except (ValueError, IndexError):
            failure = "the response is not HTTP"
        with state.changed:
            sent = Callback(
                at=state.clock.now(),
                account=state.name,
                job_id=job.id,
                # A query may hold a token of the receiver.
                url=self._accounts.without_keys(job.callback_url.partition("?")[0]),
                body=body,
                status=status,
                failure=failure,
            )
            calls.callbacks.append(sent)
            state.changed.notify_all()
        if self._accounts.report is not None:
            self._accounts.report(sent)


async def _post(url: str, body: bytes) -> int:
    """
    Send a request, and return the status.

    A redirect is not followed.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if tls else 80), ssl=tls or None)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: videodb-emulator\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        version, status = (await reader.readline()).split()[:2]
        if not version.startswith(b"HTTP/"):
            raise ValueError(version)
        return int(status)
    finally:
        writer.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
