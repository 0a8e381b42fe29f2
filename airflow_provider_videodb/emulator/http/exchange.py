"""One API call on the wire, with its log entry and its fault."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.emulator.account.calls import Call
from airflow_provider_videodb.emulator.http.payloads import LARGEST_BODY
from airflow_provider_videodb.emulator.http.responses import CompleteResponse, fault_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.faults.call_faults import Fault
    from airflow_provider_videodb.emulator.http.connections import Connections

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

_LOGGED_HEADERS = ("user-agent", "idempotency-key", "content-type", "x-videodb-client")
_MOST_LOGGED_BODY = 10_000
_MOST_CHUNKS = 200


class ClientGone(Exception):  # noqa: N818 - a client may leave, so this is not an error
    """The client closed the connection before it had the response."""


class Exchange:
    """
    One logged API call, from its arrival to its end.

    The log entry is complete before the last byte goes out. A client with a response therefore finds its call in the
    log.
    """

    def __init__(
        self,
        app: App,
        state: EmulatorState,
        connections: Connections,
        *,
        account: str,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._app = app
        self._account = account
        self._state = state
        self._connections = connections
        self._scope = scope
        self._receive = receive
        self._send = send
        # A reset replaces both. An old call keeps the old ones, so it cannot appear in the log of the next test.
        self._calls = state.calls
        self._faults = state.faults
        self._number = 0

    async def run(self, fault: Fault | None) -> None:
        """Log the call and serve it, with its fault if it met one."""
        self._begin(fault)
        try:
            if fault is None:
                await self._respond(await self._work(await self._read()))
            else:
                await _FAULT_HANDLERS[fault.kind](self, fault)
        except ClientGone:
            pass
        finally:
            call = self._note(done=True)
            if call is not None and self._state.accounts.report is not None:
                self._state.accounts.report(call)

    async def refuse(self, _: Fault) -> None:
        """Reset the connection without reading."""
        self._note(done=True)
        self._connections.reset(self._scope)
        await self._wait_for_disconnect()

    async def drop(self, fault: Fault) -> None:
        """Read the request and close the connection."""
        body = await self._read()
        if fault.work:
            await self._work(body)
        await self._close()

    async def hang(self, fault: Fault) -> None:
        """Hold the call, then respond if the work was done."""
        body = await self._read()
        response = await self._work(body) if fault.work else None
        seconds = None if fault.seconds is None else timedelta(seconds=fault.seconds)
        async with self._holding() as hold:
            await hold(fault, seconds)
        if response is None:
            await self._close()
        else:
            await self._respond(response)

    async def substitute(self, fault: Fault) -> None:
        """Send the response of the fault."""
        body = await self._read()
        if fault.work:
            await self._work(body)
        await self._respond(fault_response(fault))

    async def truncate(self, fault: Fault) -> None:
        """Close the connection after half of the body."""
        body = await self._read()
        response = await self._work(body) if fault.work else fault_response(fault)
        await self._start(response, length=max(1, len(response.body)))
        half = response.body[: len(response.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await self._close()

    async def send_slowly(self, fault: Fault) -> None:
        """Spread the body over the seconds of the fault."""
        response = await self._work(await self._read())
        size = max(1, -(-len(response.body) // _MOST_CHUNKS))
        chunks = [response.body[start : start + size] for start in range(0, len(response.body), size)] or [b""]
        pause = timedelta(seconds=(fault.seconds or 0) / max(1, len(chunks) - 1))
        await self._start(response)
        async with self._holding() as hold:
            for chunk in chunks[:-1]:
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
                await hold(fault, pause)
        self._note(status=response.status, done=True)
        await self._send({"type": "http.response.body", "body": chunks[-1], "more_body": False})

    def _begin(self, fault: Fault | None) -> None:
        scope = self._scope
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._state.changed:
            call = Call(
                account=self._account,
                method=scope["method"],
                path=self._redacted(scope["path"]),
                query=self._redacted(scope["query_string"].decode("latin-1")),
                headers={name: self._redacted(headers[name]) for name in _LOGGED_HEADERS if name in headers},
                fault=None if fault is None else fault.kind,
                at=self._state.clock.now(),
                wall_time=datetime.now(UTC),
            )
            self._number = self._calls.add(call)
            self._state.changed.notify_all()

    def _note(self, **changes: object) -> Call | None:
        with self._state.changed:
            call = self._calls.update(self._number, **changes)
            self._state.changed.notify_all()
        return call

    def _redacted(self, text: str) -> str:
        return self._state.accounts.without_keys(text)

    async def _read(self) -> bytes:
        """Read the whole request, but keep one byte more than allowed at most."""
        body = b""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body = (body + message.get("body", b""))[: LARGEST_BODY + 1]
            more = message.get("more_body", False)
        self._note(body=self._redacted(body[:_MOST_LOGGED_BODY].decode("utf-8", "replace")))
        return body

    async def _work(self, body: bytes) -> CompleteResponse:
        """Let the application carry the request out."""
        response = CompleteResponse(status=500, headers=[], body=b"")

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            nonlocal response
            if message["type"] == "http.response.start":
                response = replace(response, status=message["status"], headers=list(message["headers"]))
            else:
                response = replace(response, body=response.body + message.get("body", b""))

        try:
            await self._app(self._scope, replay, collect)
        except Exception:
            # Starlette produces a 500 and raises the error again. The client still gets the 500.
            logger.exception("The emulator failed at %s %s", self._scope["method"], self._scope["path"])
        self._note(work_status=response.status)
        return response

    async def _respond(self, response: CompleteResponse) -> None:
        self._note(status=response.status, done=True)
        await self._start(response)
        await self._send({"type": "http.response.body", "body": response.body, "more_body": False})

    async def _start(self, response: CompleteResponse, *, length: int | None = None) -> None:
        headers = [(name, value) for name, value in response.headers if name.lower() != b"content-length"]
        length = len(response.body) if length is None else length
        headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})

    async def _close(self) -> None:
        self._note(done=True)
        self._connections.close(self._scope)
        await self._wait_for_disconnect()

    async def _wait_for_disconnect(self) -> None:
        # uvicorn sends a 500 when an application returns without a response on an open connection.
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @contextlib.asynccontextmanager
    async def _holding(self) -> AsyncIterator[Callable[[Fault, timedelta | None], Awaitable[None]]]:
        """Yield a function that holds the call for a duration or until its fault is cleared."""
        with self._state.wakeups.subscribe() as event:
            watcher = asyncio.create_task(self._wait_for_disconnect())
            watcher.add_done_callback(lambda _: event.set())

            async def hold(fault: Fault, duration: timedelta | None) -> None:
                until = None if duration is None else self._state.clock.now() + duration
                while not watcher.done():
                    event.clear()
                    left = self._time_left(fault, until)
                    if left is not None and left <= 0:
                        return
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(event.wait(), left)
                raise ClientGone

            try:
                yield hold
            finally:
                watcher.cancel()

    def _time_left(self, fault: Fault, until: datetime | None) -> float | None:
        with self._state.lock:
            if not self._faults.holds(fault.id):
                return 0
            return None if until is None else (until - self._state.clock.now()).total_seconds()


_FAULT_HANDLERS: dict[str, Callable[[Exchange, Fault], Awaitable[None]]] = {
    "refuse": Exchange.refuse,
    "drop_before": Exchange.drop,
    "drop_after": Exchange.drop,
    "hang": Exchange.hang,
    "status": Exchange.substitute,
    "html": Exchange.substitute,
    "redirect": Exchange.substitute,
    "truncated": Exchange.truncate,
    "slow_body": Exchange.send_slowly,
}
