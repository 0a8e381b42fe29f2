"""Receives what notifiers send: mails over SMTP, and requests of Slack and Apprise over HTTP."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    import pytest

MAIL = "inbox_mail"
SLACK_HOOK = "inbox_slack_hook"
SLACK = "inbox_slack"
APPRISE = "inbox_apprise"


@dataclass
class Inbox:
    """
    What has arrived.

    :param mails: in order.
    :param posts: path and JSON of each request, in order.
    :param web: address of the HTTP server.
    :param is_down: makes both servers refuse.
    """

    mails: list[EmailMessage] = field(default_factory=list)
    posts: list[tuple[str, Any]] = field(default_factory=list)
    web: str = ""
    is_down: bool = False

    @property
    def subjects(self) -> list[str]:
        return [str(mail["subject"]) for mail in self.mails]

    def html(self, place: int) -> str:
        """Return the HTML of a mail."""
        body = self.mails[place].get_body(("html",))
        assert body is not None
        return str(body.get_content())

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.is_down:
            return "451 try again later"
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"


@contextmanager
def open_inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    """Start both servers, and make a connection to each service."""
    inbox = Inbox()
    mail = Controller(inbox, hostname="127.0.0.1", port=_free_port())
    web = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(inbox))
    inbox.web = f"http://127.0.0.1:{web.server_port}"
    for name, connection in connections(mail_port=mail.port, web=inbox.web).items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    mail.start()
    Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield inbox
    finally:
        web.shutdown()
        web.server_close()
        mail.stop()


def connections(*, mail_port: int, web: str) -> dict[str, dict[str, Any]]:
    """Return the connections by id."""
    unencrypted = {"from_email": "airflow@example.com", "disable_ssl": True, "disable_tls": True, "retry_limit": 1}
    return {
        MAIL: {"conn_type": "smtp", "host": "127.0.0.1", "port": mail_port, "extra": unencrypted},
        SLACK_HOOK: {"conn_type": "slackwebhook", "host": f"{web}/services", "password": "T0/B0/secret"},
        SLACK: {"conn_type": "slack", "password": "xoxb-none", "extra": {"base_url": f"{web}/api/"}},
        APPRISE: {
            "conn_type": "apprise",
            "extra": {"config": {"path": f"{web.replace('http', 'json')}/apprise", "tag": "all"}},
        },
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _handler_for(inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not inbox.is_down:
                inbox.posts.append((self.path, json.loads(body)))
            # Slack's API responds with JSON, its webhook with a word.
            said = b'{"ok": true}' if self.path.startswith("/api") else b"ok"
            self.send_response(503 if inbox.is_down else 200)
            self.send_header("Content-Type", "application/json" if self.path.startswith("/api") else "text/plain")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    return Handler
