"""Which addresses the key may be sent to, and which a person may be sent to. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from airflow_provider_videodb.exceptions import VideoDBConfigError

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?", re.IGNORECASE)
#: Spaces, backslashes (a browser takes one for a slash) and what stands in for a character that was lost.
_MISLEADING = re.compile("[ \\\\\ufffd]")


def check_base_url(base_url: str) -> str:
    """
    Return ``base_url`` without a trailing slash.

    :raises VideoDBConfigError: if it is no address the key may be sent to.
    """
    try:
        parts = urlsplit(base_url)
        # Reading the port raises where it is no number.
        usable = bool(parts.hostname) and parts.port != 0 and parts.scheme in ("http", "https")
    except ValueError:
        usable = False
    # Looked for in the whole text, since urlsplit passes over an empty query and over line breaks.
    if not usable or "@" in parts.netloc or re.search(r"[?#\\\s]", base_url):
        # Not quoted: what stands before an "@" or in a query may be a secret.
        raise VideoDBConfigError(
            "The base URL (the connection's host) is not an address such as https://api.videodb.io: it needs a "
            "scheme and a host, and takes no user, space, query or fragment."
        )
    if parts.scheme == "http" and not is_loopback(base_url):
        raise VideoDBConfigError(
            f"The base URL (the connection's host) is {base_url!r}: http:// would send the API key in clear text "
            "and is allowed for a loopback host only. Use https://."
        )
    return base_url.rstrip("/")


def is_loopback(base_url: str) -> bool:
    """Say whether a URL points at this machine itself."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_web_address(value: str) -> bool:
    """
    Say whether a text is a whole ``https://`` or ``http://`` address that leads where it seems to.

    It has no user before its host, no space or backslash, and nothing that cannot be printed.
    """
    try:
        parts = urlsplit(value)
        # Reading the port raises where it is not a number.
        usable = parts.scheme in ("http", "https") and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:
        return False
    return usable and "@" not in parts.netloc and value.isprintable() and not _MISLEADING.search(value)


def _is_host(host: str) -> bool:
    # An IPv6 address stands in brackets, which urlsplit has checked and taken off.
    return ":" in host or _HOST.fullmatch(host.encode("idna").decode()) is not None
