"""Starts and stops an emulator, in a thread or in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self, Unpack

import uvicorn

from airflow_provider_videodb.emulator.account.accounts import DEFAULT_ACCOUNT, Accounts, account_key
from airflow_provider_videodb.emulator.control import routes as control_routes
from airflow_provider_videodb.emulator.control.account import Account
from airflow_provider_videodb.emulator.http import billing_routes, job_routes
from airflow_provider_videodb.emulator.http.app import create_app
from airflow_provider_videodb.emulator.http.callbacks import Callbacks
from airflow_provider_videodb.emulator.http.connections import Connections
from airflow_provider_videodb.emulator.http.gateway import Gateway
from airflow_provider_videodb.emulator.pages import console
from airflow_provider_videodb.emulator.pages import routes as page_routes
from airflow_provider_videodb.emulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_videodb.emulator.settings import SettingsArguments

LOOPBACK = "127.0.0.1"
#: All interfaces, for a container only. Anybody who can reach the port controls the emulator without a key.
EVERYWHERE = "0.0.0.0"  # noqa: S104 - chosen by the person who starts the command
_START_TIMEOUT = 30
_STOP_TIMEOUT = 5
_TICK = 0.1
_ROUTERS = (
    billing_routes.router,
    job_routes.router,
    control_routes.health_router,
    control_routes.router,
    console.router,
    page_routes.router,
)


class Emulator(Account):
    """
    A local VideoDB that runs during a ``with`` block.

    >>> with Emulator(credits=3, dialect="sample") as videodb:
    ...     videodb.base_url, videodb.api_key

    It can be stopped and started again. It then has the same port, account and call log.

    :param port: a port on 127.0.0.1. 0 selects a free one.
    :param settings: see `Settings`.
    """

    def __init__(self, *, port: int = 0, **settings: Unpack[SettingsArguments]) -> None:
        self._accounts = Accounts()
        super().__init__(self._accounts.add(DEFAULT_ACCOUNT, Settings.create(settings)))
        self._port = port
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self._failure: BaseException | None = None

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self._port

    def add_account(self, name: str, **settings: Unpack[SettingsArguments]) -> Account:
        """
        Open another account, while the emulator runs or before.

        :param name: lower-case letters, digits and ``_``.
        :param settings: see `Settings`. What is left out is as in this emulator's own account. The API key is this
            emulator's key with ``-`` and the name.
        """
        own = {"api_key": account_key(self.api_key, name)}
        return Account(self._accounts.add(name, self.settings.changed(own | settings)))

    def account(self, name: str) -> Account:
        """Return the account with this name. This emulator's own is ``default``."""
        return Account(self._accounts.named(name))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and return when it accepts calls."""
        if self._thread is not None:
            raise RuntimeError("the emulator is already running. Next step: stop() it first")
        listener = listen(self._port)
        self._port = listener.getsockname()[1]
        self._accounts.base_url = f"http://{LOOPBACK}:{self._port}"
        self._server = server = _Server(self._accounts)
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(server, listener), name="videodb-emulator", daemon=True)
        self._thread.start()
        if not server.ready.wait(_START_TIMEOUT) or self._failure is not None:
            self._thread = None
            raise RuntimeError("the emulator did not start") from self._failure

    def stop(self) -> None:
        """Stop the server and close every connection. The account stays."""
        if self._thread is None or self._server is None:
            return
        thread, self._thread = self._thread, None
        self._server.stop()
        thread.join(_START_TIMEOUT)
        if thread.is_alive():
            raise RuntimeError("the emulator did not stop")

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Refuse connections during the ``with`` block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _run(self, server: _Server, listener: socket.socket) -> None:
        try:
            server.run(sockets=[listener])
        except BaseException as failure:  # noqa: BLE001 - `start` raises it, also a SystemExit
            self._failure = failure
        finally:
            listener.close()
            server.ready.set()


def serve(accounts: Accounts, *, host: str, port: int, announce: Callable[[], None]) -> None:
    """
    Run an emulator in the foreground until a signal stops it.

    :param host: the address to listen on, `LOOPBACK` or `EVERYWHERE`.
    :param announce: is called when the server accepts calls.
    """
    with listen(port, host=host) as listener:
        # A container listens everywhere, and its port is published on loopback under the same number.
        accounts.base_url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        _Server(accounts, on_ready=announce).run(sockets=[listener])


def listen(port: int, *, host: str = LOOPBACK) -> socket.socket:
    """Bind a port, or raise `OSError` if it is taken."""
    # asyncio disables Nagle's algorithm only if the protocol is named. Nagle's algorithm costs 40 ms a call.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Without this option, the port of a stopped emulator stays blocked for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """A uvicorn server that reports its start and stops at once."""

    def __init__(self, accounts: Accounts, on_ready: Callable[[], None] | None = None) -> None:
        connections = Connections()
        super().__init__(
            uvicorn.Config(
                Gateway(create_app(accounts, _ROUTERS), accounts, connections),
                loop="asyncio",
                http=connections.protocol(),
                ws="none",
                lifespan="off",
                # uvicorn must not change the logging of the test.
                log_config=None,
                access_log=False,
                # `Connections` identifies a connection by its client address, so no header may change the address.
                proxy_headers=False,
                server_header=False,
                date_header=False,
            )
        )
        self.ready = threading.Event()
        self._on_ready = on_ready
        self._connections = connections
        self._callbacks = Callbacks(accounts)
        self._sender: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

    def stop(self) -> None:
        """Stop the server from another thread."""
        self.should_exit = True
        # A loop that has already ended raises RuntimeError.
        with contextlib.suppress(RuntimeError):
            if self._loop is not None and self._wake is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server and report it."""
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        await super().startup(sockets=sockets)
        self._sender = asyncio.create_task(self._callbacks.run())
        self.ready.set()
        if self._on_ready:
            self._on_ready()

    async def main_loop(self) -> None:
        """Run until `stop`, or until a signal handler sets `should_exit`."""
        while self._wake is not None and not self.should_exit:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _TICK)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections at once, because a fault may hold a call."""
        for server in self.servers:
            server.close()
        if self._sender is not None:
            self._sender.cancel()
        # Every held call ends when its client disconnects.
        self._connections.abort_all()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_STOP_TIMEOUT)
        for listener in sockets or []:
            listener.close()
