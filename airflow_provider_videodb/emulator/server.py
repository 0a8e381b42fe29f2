"""Running an emulator: `Emulator` in a thread of a test, `serve` in the foreground for a person."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Self, Unpack

import uvicorn

from airflow_provider_videodb.emulator.control.controls import Controls
from airflow_provider_videodb.emulator.http.app import create_app
from airflow_provider_videodb.emulator.http.connections import Connections
from airflow_provider_videodb.emulator.http.gateway import Gateway
from airflow_provider_videodb.emulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.emulator.settings import SettingsArguments

LOOPBACK = "127.0.0.1"
_START_TIMEOUT = 30
_STOP_TIMEOUT = 5
_TICK = 0.1


class Emulator(Controls):
    """
    A VideoDB of one's own, on a free loopback port for as long as the ``with`` block lasts.

    >>> with Emulator(credits=3, dialect="sample") as videodb:
    ...     videodb.base_url, videodb.api_key

    It can be stopped and started again: the port, the account and the log stay.

    :param port: 0 takes a free port.
    :param settings: see `Settings`.
    """

    def __init__(self, *, port: int = 0, **settings: Unpack[SettingsArguments]) -> None:
        super().__init__(Settings.create(settings))
        self._port = port
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._failure: BaseException | None = None

    @property
    def base_url(self) -> str:
        """Where the emulator listens, without a slash at the end."""
        if not self.world.base_url:
            raise RuntimeError("the emulator has not been started: use it in a with block, or call start()")
        return self.world.base_url

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def api_key(self) -> str:
        """The key that is let in."""
        return self.settings.api_key

    @property
    def connection(self) -> dict[str, str]:
        """The Airflow connection to this emulator, as a dict."""
        return connection_to(self.base_url, self.api_key)

    @property
    def connection_json(self) -> str:
        """The Airflow connection as the value of an ``AIRFLOW_CONN_…`` variable."""
        return json.dumps(self.connection)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and return when calls are answered."""
        if self._thread is not None:
            raise RuntimeError("the emulator is running already")
        listener = listen(self._port)
        self._port = listener.getsockname()[1]
        self.world.base_url = f"http://{LOOPBACK}:{self._port}"
        self._server = server = _Server(self)
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(server, listener), name="videodb-emulator", daemon=True)
        self._thread.start()
        if not server.ready.wait(_START_TIMEOUT) or self._failure is not None:
            self._thread = None
            raise RuntimeError("the emulator did not start") from self._failure

    def stop(self) -> None:
        """Close every connection, those of held calls too, and stop listening. The account stays as it is."""
        if self._thread is None or self._server is None:
            return
        thread, self._thread = self._thread, None
        self._server.stop()
        thread.join(_START_TIMEOUT)
        if thread.is_alive():
            raise RuntimeError("the emulator did not stop")

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Refuse connections for as long as the block lasts, as a server that is down does."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _run(self, server: _Server, listener: socket.socket) -> None:
        try:
            server.run(sockets=[listener])
        except BaseException as failure:  # noqa: BLE001 - SystemExit too: it is raised again where the caller waits
            self._failure = failure
        finally:
            listener.close()
            server.ready.set()


def serve(settings: Settings, *, port: int, announce: Callable[[str], None]) -> None:
    """
    Run an emulator in the foreground until it is interrupted.

    :param announce: called with the base URL as soon as calls are answered.
    """
    controls = Controls(settings)
    with listen(port) as listener:
        controls.world.base_url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        server = _Server(controls, on_ready=lambda: announce(controls.world.base_url))
        server.run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """Return a socket bound to a loopback port; raises `OSError` when the port is taken."""
    # The protocol is named because asyncio turns Nagle's algorithm off only then: 40 ms a call otherwise.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Without it the port of a stopped emulator could not be taken again for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.close()
        raise
    return listener


def connection_to(base_url: str, api_key: str) -> dict[str, str]:
    """Return the Airflow connection to an emulator."""
    return {"conn_type": "videodb", "password": api_key, "host": base_url}


class _Server(uvicorn.Server):
    """uvicorn, told to say when it is ready and to stop at once."""

    def __init__(self, controls: Controls, on_ready: Callable[[], None] | None = None) -> None:
        connections = Connections()
        super().__init__(
            uvicorn.Config(
                Gateway(create_app(controls), controls.world, connections),
                loop="asyncio",
                http=connections.protocol(),
                ws="none",
                lifespan="off",
                # A test's logging is its own affair.
                log_config=None,
                access_log=False,
                # `Connections` finds a connection by its client's address: no header may change that.
                proxy_headers=False,
                server_header=False,
                date_header=False,
            )
        )
        self.ready = threading.Event()
        self._on_ready = on_ready
        self._connections = connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

    def stop(self) -> None:
        """Stop, from another thread."""
        self.should_exit = True
        # RuntimeError: the loop has ended by itself meanwhile.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None and self._wake is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        await super().startup(sockets=sockets)
        self.ready.set()
        if self._on_ready:
            self._on_ready()

    async def main_loop(self) -> None:
        """Run until told to stop; the tick is for a signal handler, which can only set `should_exit`."""
        while self._wake is not None and not self.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close what is open instead of waiting for it: a call may be held without end."""
        for server in self.servers:
            server.close()
        # A call whose client is gone ends by itself, however it was held.
        self._connections.abort_all()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_STOP_TIMEOUT)
        for listener in sockets or []:
            listener.close()
