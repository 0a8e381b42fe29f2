"""
Who may call: a program or page on this machine.

A page of another site can send requests to 127.0.0.1, and can give its host name that address. Its requests then have
a foreign Origin or a foreign Host, so it can neither pay a checkout nor read the account.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PORT = re.compile(r":[0-9]{1,5}$")


def refusal_of(headers: Iterable[tuple[bytes, bytes]], *, allowed_hosts: Collection[str]) -> str | None:
    """Return why a request is refused. None if it is accepted."""
    given = {name.lower(): value.decode("latin-1") for name, value in headers}
    host = given.get(b"host", "")
    hosts = (*_LOOPBACK, *allowed_hosts)
    if _PORT.sub("", host).lower() not in hosts:
        return f"the Host must be one of {', '.join(hosts)}, got {host!r:.80}"
    origin = given.get(b"origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return f"the Origin must be this emulator, {host}, got {origin!r:.80}"
    return None
