"""The door of the emulator: writes every API call down, and plays the faults on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.emulator.control.calls import MOST_BODY
from airflow_provider_videodb.emulator.http.payloads import LARGEST_BODY
from airflow_provider_videodb.emulator.http.responses import Answer, wrong_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping

    from airflow_provider_videodb.emulator.account.state import EmulatorState
    from airflow_provider_videodb.emulator.faults.faults import Fault
    from airflow_provider_videodb.emulator.http.connections import Connections

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

CONTROL_PREFIX = "/_emulator"
PAGE_PREFIXES = ("/pay/", "/invoices/", "/uploads/")
_MOST_DRIPS = 200


class ClientGone(Exception):  # noqa: N818 - not an error: the client hung up
    """The client closed the connection before it had its answer."""


class Gateway:
    """
    The outermost ASGI application: API calls are logged and may meet a fault, control calls pass by.

    :param app: the emulator's FastAPI application.
    """

    def __init__(self, app: App, world: EmulatorState, connections: Connections) -> None:
        self._app = app
        self._world = world
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or is_control(scope["path"]):
            await self._app(scope, receive, send)
            return
        page = is_page(scope["path"])
        # One lock for both: a reset in between would leave the call with a fault nobody can clear.
        with self._world.lock:
            fault = self._world.faults.take(scope["method"], scope["path"], is_page=page)
            exchange = _Exchange(self._app, self._world, self._connections, scope=scope, receive=receive, send=send)
        if fault is None and page:
            await self._app(scope, receive, send)
        else:
            await exchange.run(fault)


class _Exchange:
    """
    One logged API call, from its arrival to its answer or to the lack of one.

    The log is complete before the last byte goes out: whoever has an answer finds its call in the log.
    """

    def __init__(
        self, app: App, world: EmulatorState, connections: Connections, *, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._app = app
        self._world = world
        self._connections = connections
        self._scope = scope
        self._receive = receive
        self._send = send
        # A reset replaces both: what is left of an earlier test must not show in the log of the next one.
        self._calls = world.calls
        self._faults = world.faults
        self._number = 0

    async def run(self, fault: Fault | None) -> None:
        self._begin(fault)
        try:
            if fault is None:
                await self._answer(await self._work(await self._read()))
            else:
                await _FAULT_HANDLERS[fault.kind](self, fault)
        except ClientGone:
            pass
        finally:
            self._note(done=True)

    async def refuse(self, _: Fault) -> None:
        self._note(done=True)
        self._connections.reset(self._scope)
        await self._gone()

    async def drop(self, fault: Fault) -> None:
        body = await self._read()
        if fault.work:
            await self._work(body)
        await self._close()

    async def hang(self, fault: Fault) -> None:
        body = await self._read()
        answer = await self._work(body) if fault.work else None
        seconds = None if fault.seconds is None else timedelta(seconds=fault.seconds)
        async with self._holding() as hold:
            await hold(fault, seconds)
        if answer is None:
            await self._close()
        else:
            await self._answer(answer)

    async def answer_instead(self, fault: Fault) -> None:
        body = await self._read()
        if fault.work:
            await self._work(body)
        await self._answer(wrong_answer(fault))

    async def truncate(self, fault: Fault) -> None:
        body = await self._read()
        answer = await self._work(body) if fault.work else wrong_answer(fault)
        await self._start(answer, length=max(1, len(answer.body)))
        half = answer.body[: len(answer.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await self._close()

    async def drip(self, fault: Fault) -> None:
        answer = await self._work(await self._read())
        size = max(1, -(-len(answer.body) // _MOST_DRIPS))
        drops = [answer.body[start : start + size] for start in range(0, len(answer.body), size)] or [b""]
        pause = timedelta(seconds=(fault.seconds or 0) / max(1, len(drops) - 1))
        await self._start(answer)
        async with self._holding() as hold:
            for drop in drops[:-1]:
                await self._send({"type": "http.response.body", "body": drop, "more_body": True})
                await hold(fault, pause)
        self._note(status=answer.status, done=True)
        await self._send({"type": "http.response.body", "body": drops[-1], "more_body": False})

    def _begin(self, fault: Fault | None) -> None:
        scope = self._scope
        with self._world.changed:
            self._number = self._calls.begin(
                method=scope["method"],
                path=self._redacted(scope["path"]),
                query=self._redacted(scope["query_string"].decode("latin-1")),
                headers={
                    name.decode("latin-1"): self._redacted(value.decode("latin-1")) for name, value in scope["headers"]
                },
                fault=None if fault is None else fault.kind,
                at=self._world.clock.now(),
                wall_time=datetime.now(UTC),
            )
            self._world.changed.notify_all()

    def _note(self, **changes: object) -> None:
        with self._world.changed:
            self._calls.update(self._number, **changes)
            self._world.changed.notify_all()

    def _redacted(self, text: str) -> str:
        return text.replace(self._world.settings.api_key, "***")

    async def _read(self) -> bytes:
        """Read the whole request; past the largest body the rest is read and thrown away."""
        body = b""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body = (body + message.get("body", b""))[: LARGEST_BODY + 1]
            more = message.get("more_body", False)
        self._note(body=self._redacted(body[:MOST_BODY].decode("utf-8", "replace")))
        return body

    async def _work(self, body: bytes) -> Answer:
        """Let the application carry the request out and keep its answer back."""
        answer = Answer(status=500, headers=[], body=b"")

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            nonlocal answer
            if message["type"] == "http.response.start":
                answer = replace(answer, status=message["status"], headers=list(message["headers"]))
            else:
                answer = replace(answer, body=answer.body + message.get("body", b""))

        try:
            await self._app(self._scope, replay, collect)
        except Exception:
            # Starlette has sent a 500 and raised again for the server to log; the answer is still to go out.
            logger.exception("The emulator failed at %s %s", self._scope["method"], self._scope["path"])
        self._note(work_status=answer.status)
        return answer

    async def _answer(self, answer: Answer) -> None:
        self._note(status=answer.status, done=True)
        await self._start(answer)
        await self._send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _start(self, answer: Answer, *, length: int | None = None) -> None:
        headers = [(name, value) for name, value in answer.headers if name.lower() != b"content-length"]
        length = len(answer.body) if length is None else length
        headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _close(self) -> None:
        self._note(done=True)
        self._connections.close(self._scope)
        await self._gone()

    async def _gone(self) -> None:
        """Wait until the connection is closed: uvicorn answers 500 to a request left without an answer before that."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @contextlib.asynccontextmanager
    async def _holding(self) -> AsyncIterator[Callable[[Fault, timedelta | None], Awaitable[None]]]:
        """Give a coroutine function that holds the call: for a time, until its fault is cleared or the client gone."""
        with self._world.bell.listening() as event:
            watcher = asyncio.create_task(self._gone())
            watcher.add_done_callback(lambda _: event.set())

            async def hold(fault: Fault, duration: timedelta | None) -> None:
                until = None if duration is None else self._world.clock.now() + duration
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
        with self._world.lock:
            if not self._faults.holds(fault.id):
                return 0
            return None if until is None else (until - self._world.clock.now()).total_seconds()


def is_control(path: str) -> bool:
    """Tell whether a path belongs to the control calls, which no fault touches and no log holds."""
    return path == CONTROL_PREFIX or path.startswith(f"{CONTROL_PREFIX}/")


def is_page(path: str) -> bool:
    """Tell whether a path is what a person or a payment service would serve, not VideoDB's API."""
    return path == "/" or path.startswith(PAGE_PREFIXES)


_FAULT_HANDLERS: dict[str, Callable[[_Exchange, Fault], Awaitable[None]]] = {
    "refuse": _Exchange.refuse,
    "drop_before": _Exchange.drop,
    "drop_after": _Exchange.drop,
    "hang": _Exchange.hang,
    "status": _Exchange.answer_instead,
    "html": _Exchange.answer_instead,
    "redirect": _Exchange.answer_instead,
    "truncated": _Exchange.truncate,
    "slow_body": _Exchange.drip,
}
